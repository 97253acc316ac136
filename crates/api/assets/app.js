// The web application: one module, no dependency, in sections that build on those above them.

// ── Elements ────────────────────────────────────────────────────────────────

const $ = (id) => document.getElementById(id);

function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Resolves after `ms`, and sooner when the network comes back or `signal` aborts. */
const pause = (ms, signal) => new Promise((resolve) => {
  setTimeout(resolve, ms);
  addEventListener('online', resolve, { once: true });
  signal?.addEventListener('abort', resolve, { once: true });
});

/** Unlike `crypto.randomUUID`, there on plain HTTP too, which is how a home server is often reached. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join('-');

// ── Problems ────────────────────────────────────────────────────────────────

/** Whatever went wrong with a request, in the server's words where it said something. Status 0: no answer. */
class Problem extends Error {
  constructor({ status = 0, code = '', title = '', detail = '', errors = [] }, retryAfter) {
    const text = detail || title;
    const saysWhen = !retryAfter || text.includes(String(retryAfter));
    super(saysWhen ? text : `${text} Try again in ${retryAfter} second${retryAfter === 1 ? '' : 's'}.`);
    Object.assign(this, { status, code, errors, retryAfter });
  }

  static async of(response) {
    const body = await response.json().catch(() => ({}));
    const title = body.title ?? `The server answered ${response.status}.`;
    const after = response.headers.get('Retry-After');
    const seconds = after && (Number(after) || Math.ceil((Date.parse(after) - Date.now()) / 1000));
    return new Problem({ ...body, title, status: response.status }, Math.max(0, seconds) || 0);
  }

  static unreachable = () => new Problem({ code: 'unreachable', title: 'The server can’t be reached.' });
  static signedOut = () => new Problem({ status: 401, code: 'signed_out', title: 'Your log-in has ended. Please log in again.' });
}

// ── Session and requests ────────────────────────────────────────────────────

const SESSION_KEY = 'repartee.session';

const session = {
  get: () => JSON.parse(localStorage.getItem(SESSION_KEY)),
  put({ access_token, refresh_token, expires_in, user }) {
    const renewAt = Date.now() + expires_in * 900; // nine tenths of its life, in milliseconds
    const kept = { access_token, refresh_token, renewAt, user: user ?? session.get()?.user };
    localStorage.setItem(SESSION_KEY, JSON.stringify(kept));
    return kept;
  },
  clear: () => localStorage.removeItem(SESSION_KEY),
};

async function request(path, { method = 'GET', body, headers, signal, token } = {}) {
  const all = { Accept: 'application/json', ...headers };
  if (body) all['Content-Type'] = 'application/json';
  if (token) all.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { method, headers: all, signal, cache: 'no-store', body: body && JSON.stringify(body) })
    .catch((error) => {
      throw signal?.aborted ? error : Problem.unreachable();
    });
  if (!response.ok) throw await Problem.of(response);
  return response;
}

let refreshing = null;

/** One refresh at a time, here and across tabs: a refresh token works once, and a second use ends the log-in. */
function refresh(stale) {
  const task = () => exchange(stale);
  refreshing ??= (navigator.locks?.request('repartee.refresh', task) ?? task()).finally(() => (refreshing = null));
  return refreshing;
}

async function exchange(stale) {
  const current = session.get();
  if (!current) throw Problem.signedOut();
  if (current.access_token !== stale.access_token) return current;
  const unchanged = () => session.get()?.refresh_token === current.refresh_token;
  try {
    const body = { refresh_token: current.refresh_token };
    const pair = await (await request('/api/v1/auth/refresh', { method: 'POST', body })).json();
    if (!unchanged()) throw Problem.signedOut();
    const renewed = session.put(pair);
    await pause(100); // storage may reach another tab later than the lock does
    return renewed;
  } catch (problem) {
    if (![400, 401, 403].includes(problem.status)) throw problem;
    // Without locks another tab may have won the race, and be about to store the new pair.
    if (unchanged()) await pause(1000);
    if (!unchanged() && session.get()) return session.get();
    throw endSession();
  }
}

function endSession() {
  session.clear();
  showAuth(Problem.signedOut().message);
  return Problem.signedOut();
}

async function api(path, options = {}) {
  let current = session.get();
  if (!current) throw Problem.signedOut();
  if (Date.now() > current.renewAt) current = await refresh(current);
  const attempt = () => request(`/api/v1/${path}`, { ...options, token: current.access_token });
  try {
    return await attempt();
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  current = await refresh(current);
  return attempt().catch((problem) => {
    throw problem.status === 401 ? endSession() : problem;
  });
}

const fetchJson = async (path, options) => (await api(path, options)).json();

// ── Server-sent events ──────────────────────────────────────────────────────

const SILENCE_MS = 45_000; // the server comments every 15 s, so this is a connection that died without a word

/** Yields `{name, data}` and keeps in `cursor` what a reconnection needs: `lastId` and `retryMs`. */
async function* readEvents(response, cursor) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  let event = { name: '', id: cursor.lastId, data: [] };
  try {
    for (;;) {
      const silence = setTimeout(() => reader.cancel(), SILENCE_MS);
      const { done, value } = await reader.read().catch(() => ({ done: true }));
      clearTimeout(silence);
      if (done) return;
      // A CR that ends the chunk may be the first half of a CRLF: it waits for the next one.
      const lines = (buffer + value).split(/\r\n|\n|\r(?!$)/);
      buffer = lines.pop();
      for (const line of lines) {
        const [, field, text] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
        if (field === 'event') event.name = text;
        else if (field === 'data') event.data.push(text);
        else if (field === 'id' && !text.includes('\0')) event.id = text;
        else if (field === 'retry' && /^\d+$/.test(text)) cursor.retryMs = Number(text);
        else if (line === '') {
          const { name, id, data } = event;
          cursor.lastId = id;
          event = { name: '', id, data: [] };
          if (data.length) yield { name, data: JSON.parse(data.join('\n')) };
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

// ── Markdown ────────────────────────────────────────────────────────────────
// The subset that replies use, as DOM nodes: what a model wrote is never parsed as HTML.

const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|(\d{1,9})[.)]) +(?=\S)/;
const STARTS = { blank: /^\s*$/, code: FENCE, heading: HEADING, rule: /^ {0,3}([-*_])(?: *\1){2,}\s*$/, quote: QUOTE, list: ITEM };
const MAX_DEPTH = 8;

const kindOf = (line) => Object.keys(STARTS).find((kind) => STARTS[kind].test(line)) ?? 'text';
const isOrdered = (line) => ITEM.exec(line)?.[3] !== undefined;
const closes = (fence, line) => line.trim().startsWith(fence) && line.trim() === fence[0].repeat(line.trim().length);

/** Splits lines into blocks, each an array of lines whose first one tells its kind. */
function splitBlocks(lines) {
  const blocks = [];
  for (let at = 0, end; at < lines.length; at = end) {
    const first = lines[at];
    const kind = kindOf(first);
    const inList = (line = '') => /^ {2}\s*\S/.test(line) || (kindOf(line) === 'list' && isOrdered(line) === isOrdered(first));
    const goesOn = {
      code: () => !closes(FENCE.exec(first)[1], lines[end]),
      quote: () => QUOTE.test(lines[end]),
      list: () => (kindOf(lines[end]) === 'blank' ? inList(lines[end + 1]) : inList(lines[end]) || kindOf(lines[end]) === 'text'),
      text: () => kindOf(lines[end]) === 'text',
    }[kind];
    end = at + 1;
    while (goesOn && end < lines.length && goesOn()) end++;
    if (kind === 'code') end++;
    if (kind !== 'blank') blocks.push(lines.slice(at, end));
  }
  return blocks;
}

function splitItems(lines) {
  const base = ITEM.exec(lines[0])[1].length;
  const items = [];
  let indent;
  for (const line of lines) {
    const marker = ITEM.exec(line);
    if (marker && marker[1].length < base + 2) {
      indent = new RegExp(`^ {1,${marker[0].length}}`);
      items.push([line.slice(marker[0].length)]);
    } else {
      items.at(-1).push(line.replace(indent, ''));
    }
  }
  return items;
}

const renderBlocks = (lines, depth) => splitBlocks(lines).map((block) => renderBlock(block, depth));

function renderBlock(lines, depth = 0) {
  const dir = 'auto';
  const kind = kindOf(lines[0]);
  if (kind === 'code') return codeBlock(lines);
  if (kind === 'rule') return el('hr');
  if (kind === 'heading') {
    const [, marks, text] = HEADING.exec(lines[0]);
    return el(`h${Math.min(marks.length + 2, 6)}`, { dir }, ...inline(text));
  }
  if (kind === 'quote' && depth < MAX_DEPTH) {
    return el('blockquote', {}, ...renderBlocks(lines.map((line) => line.replace(QUOTE, '')), depth + 1));
  }
  if (kind === 'list' && depth < MAX_DEPTH) {
    const items = splitItems(lines).map((item) => {
      const [first, ...rest] = renderBlocks(item, depth + 1);
      return el('li', { dir }, ...(first.tagName === 'P' ? first.childNodes : [first]), ...rest);
    });
    return isOrdered(lines[0]) ? el('ol', { dir, start: ITEM.exec(lines[0])[3] }, ...items) : el('ul', { dir }, ...items);
  }
  return el('p', { dir }, ...inline(lines.join('\n')));
}

function codeBlock([opening, ...lines]) {
  const [, fence, language] = FENCE.exec(opening);
  if (lines.length && closes(fence, lines.at(-1))) lines.pop();
  const pre = el('pre', { tabIndex: 0 }, el('code', { textContent: lines.join('\n') }));
  const caption = el('figcaption', {}, el('span', { textContent: language.trim() || 'code' }), copyButton(pre.textContent, pre));
  return el('figure', { className: 'code', dir: 'ltr' }, caption, pre);
}

// Repetitions are bounded or can't overlap: a hostile reply must not freeze the page.
const INLINE = new RegExp([
  String.raw`\\(?<escaped>[!-\/:-@\[-\x60\{-~])`,
  String.raw`(?<!\x60)(?<ticks>\x60{1,3})(?!\x60)(?<code>[^]{0,1000}?[^\x60])\k<ticks>(?!\x60)`,
  String.raw`\*{3}(?![\s*])(?<both>[^*]+)\*{3}`,
  String.raw`\*{2}(?![\s*])(?<strong>(?:[^*]|\*(?!\*))+)\*{2}`,
  String.raw`\*(?![\s*])(?<em>[^*\n]+)(?<!\s)\*`,
  String.raw`(?<![\p{L}\p{N}_])_(?![\s_])(?<under>[^_\n]+)(?<!\s)_(?![\p{L}\p{N}_])`,
  String.raw`\[(?<label>[^\[\]\n]{1,500})\]\((?<href>[^\s()]{1,2000}(?:\([^\s()]{0,500}\)[^\s()]{0,500})?)\)`,
  String.raw`(?<url>https?:\/\/[^\s<>"\x60]{0,2000}[^\s<>"\x60.,:;!?'*_)\]])`,
].join('|'), 'gu');

function inline(text, mayLink = true) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const { escaped, code, both, strong, em, under, label, href, url } = match.groups;
    nodes.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    if (escaped) nodes.push(escaped);
    else if (code) nodes.push(el('code', { textContent: code }));
    else if (both) nodes.push(el('strong', {}, el('em', {}, ...inline(both, mayLink))));
    else if (strong) nodes.push(el('strong', {}, ...inline(strong, mayLink)));
    else if (em ?? under) nodes.push(el('em', {}, ...inline(em ?? under, mayLink)));
    else nodes.push((mayLink && link(href ?? url, label ? inline(label, false) : [url])) || match[0]);
  }
  nodes.push(text.slice(at));
  return nodes;
}

function link(href, content) {
  const url = URL.canParse(href) ? new URL(href) : null;
  if (!['http:', 'https:'].includes(url?.protocol)) return null;
  return el('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer' }, ...content);
}

const drawnBlocks = new WeakMap();

/** Blocks that didn't change keep their nodes, so a frame costs its last block and a selection survives. */
function renderMarkdown(target, text) {
  const blocks = splitBlocks(text.replace(/^\t+/gm, (tabs) => '    '.repeat(tabs.length)).split(/\r?\n/));
  const sources = blocks.map((lines) => lines.join('\n'));
  const before = drawnBlocks.get(target) ?? [];
  let same = 0;
  while (same < before.length && before[same] === sources[same]) same++;
  while (target.childNodes.length > same) target.lastChild.remove();
  target.append(...blocks.slice(same).map((block) => renderBlock(block)));
  drawnBlocks.set(target, sources);
}

function copyButton(text, node) {
  const button = el('button', { type: 'button', className: 'link', textContent: 'Copy' });
  button.addEventListener('click', async () => {
    // The clipboard interface isn't there on plain HTTP: then what is on screen gets selected and copied.
    if (!navigator.clipboard) getSelection().selectAllChildren(node);
    const copied = await (navigator.clipboard?.writeText(text).then(() => true, () => false) ?? document.execCommand('copy'));
    button.textContent = copied ? 'Copied' : 'Not copied';
    setTimeout(() => (button.textContent = 'Copy'), 2000);
  });
  return button;
}

// ── What the page tells ─────────────────────────────────────────────────────

function say(text) {
  if ($('status').textContent !== text) $('status').textContent = text;
}

function notify(text, action) {
  $('notice-text').textContent = text;
  $('notice').hidden = !text;
  $('notice-action').hidden = !action;
  $('notice-action').textContent = action?.label ?? '';
  $('notice-action').onclick = () => {
    notify('');
    action.run().catch(report);
  };
}

function report(error, action) {
  if (error.name === 'AbortError' || error.code === 'signed_out') return;
  if (!(error instanceof Problem)) throw error;
  notify(error.message, action);
  if (error.code.startsWith('model_')) checkHealth();
}

/** Runs `task` on an event, once at a time. */
function on(node, type, task, onProblem = report) {
  node.addEventListener(type, async (event) => {
    event.preventDefault();
    if (node.ariaBusy === 'true') return;
    node.ariaBusy = 'true';
    await task().catch(onProblem).finally(() => (node.ariaBusy = null));
  });
}

/** Runs `task` when a form is submitted, and shows problems beside the fields that they are about. */
function onSubmit(form, task) {
  on(form, 'submit', async () => (clearErrors(form), task()), (problem) => showErrors(form, problem));
}

function clearErrors(form) {
  form.querySelectorAll('.form-error, .field-error').forEach((node) => (node.textContent = ''));
  form.querySelectorAll('[aria-invalid]').forEach((input) => input.removeAttribute('aria-invalid'));
}

function showErrors(form, problem) {
  if (!(problem instanceof Problem)) throw problem;
  const elsewhere = problem.errors.filter(({ field, detail }) => {
    const input = form.elements[field];
    if (!input) return true;
    input.setAttribute('aria-invalid', 'true');
    input.closest('.field').querySelector('.field-error').textContent = detail;
    return false;
  });
  const invalid = form.querySelector('[aria-invalid]');
  const general = elsewhere.map(({ detail }) => detail).join(' ') || (invalid ? '' : problem.message);
  form.querySelector('.form-error').textContent = general;
  invalid?.focus();
}

async function checkHealth() {
  // An unhealthy server answers 503 with the same body.
  const health = await fetch('/health').then((response) => response.json()).catch(() => ({}));
  $('no-model').hidden = health.model !== 'unavailable';
}

// ── Conversations ───────────────────────────────────────────────────────────

const UNTITLED = 'New conversation';
const conversations = new Map();
let nextConversations = null;

const activity = (conversation) => Date.parse(conversation.last_message_at ?? conversation.created_at);
const titleOf = (conversation) => conversation?.title || UNTITLED;

function when(time) {
  const date = new Date(time);
  const days = (Date.now() - date) / 86_400_000;
  if (date.toDateString() === new Date().toDateString()) return date.toLocaleTimeString([], { timeStyle: 'short' });
  if (days < 6) return date.toLocaleDateString([], { weekday: 'short' });
  const year = days > 300 ? { year: 'numeric' } : {};
  return date.toLocaleDateString([], { day: 'numeric', month: 'short', ...year });
}

function remember(...changed) {
  for (const conversation of changed) conversations.set(conversation.id, conversation);
  drawConversations();
}

function drawConversations() {
  const focused = document.activeElement?.dataset?.conversation;
  const newestFirst = [...conversations.values()].sort((a, b) => activity(b) - activity(a));
  $('conversations').replaceChildren(...newestFirst.map((conversation) => {
    const entry = el('a', { href: `#/c/${conversation.id}` },
      el('span', { textContent: titleOf(conversation), dir: 'auto' }),
      el('time', { textContent: when(activity(conversation)) }));
    entry.dataset.conversation = conversation.id;
    if (conversation.id === view.id) entry.ariaCurrent = 'page';
    return el('li', {}, entry);
  }));
  if (focused) $('conversations').querySelector(`[data-conversation="${CSS.escape(focused)}"]`)?.focus();
  $('more-conversations').hidden = !nextConversations;

  const title = titleOf(conversations.get(view.id));
  $('title').textContent = title;
  document.title = view.id ? `${title} · Repartee` : 'Repartee';
  $('rename').hidden = $('delete').hidden = !view.id;
}

let listedAt = 0;

/** The first page replaces what is known; those after it add to it. */
async function loadConversations(cursor) {
  const query = new URLSearchParams({ limit: 30, ...(cursor && { cursor }) });
  const { data, next_cursor: next } = await fetchJson(`conversations?${query}`);
  if (!cursor) {
    const open = conversations.get(view.id);
    conversations.clear();
    if (open) conversations.set(open.id, open);
    listedAt = Date.now();
  }
  nextConversations = next;
  remember(...data);
}

// ── Messages ────────────────────────────────────────────────────────────────

const OUTCOMES = {
  cancelled: 'Stopped',
  failed: 'The model failed here',
  interrupted: 'Cut off: the server stopped while writing',
};

/** What is on screen. A new one for each visit, so that whatever arrives late can tell that it is too late. */
const newView = (id) => ({ id, parts: new Map(), older: null, turn: null });
let view = newView(null);
let pinned = true; // the reader is at the bottom, and wants to stay there

function stick() {
  if (pinned) $('log').scrollTop = $('log').scrollHeight;
}

function newMessage(role) {
  const body = el('div', { className: 'body' });
  const meta = el('footer', { className: 'meta' });
  const heading = el('h2', { className: 'visually-hidden', textContent: role === 'user' ? 'You' : 'Reply' });
  return { role, body, meta, article: el('article', { className: `message ${role}` }, heading, body, meta) };
}

function drawMessage(part, message, problem) {
  const { role, status } = message;
  const content = message.content ?? '';
  part.article.classList.toggle('writing', status === 'streaming');
  if (role === 'user') part.body.replaceChildren(el('p', { dir: 'auto', textContent: content }));
  else renderMarkdown(part.body, content);
  const cutShort = message.finish_reason === 'length' ? 'Cut off at the length limit' : '';
  const outcome = problem?.detail || problem?.title || OUTCOMES[status] || cutShort;
  const notes = outcome ? [el('span', { className: status, textContent: outcome })] : [];
  if (role !== 'user' && status !== 'streaming') {
    if (content) notes.push(copyButton(content, part.body));
    if (message.model) notes.push(el('span', { className: 'model', textContent: message.model }));
    notes.push(el('time', { dateTime: message.created_at, textContent: when(message.created_at) }));
  }
  part.meta.replaceChildren(...notes);
}

/** Draws messages in order: known ones where they are, new ones at the end, or before everything. */
function placeMessages(messages, atStart = false) {
  const fresh = [];
  for (const message of messages.filter(({ role }) => role === 'user' || role === 'assistant')) {
    let part = view.parts.get(message.id);
    if (!part) {
      part = newMessage(message.role);
      view.parts.set(message.id, part);
      fresh.push(part.article);
    }
    drawMessage(part, message);
  }
  $('messages')[atStart ? 'prepend' : 'append'](...fresh);
}

async function fetchMessages(id, cursor) {
  const query = new URLSearchParams({ order: 'desc', limit: 50, ...(cursor && { cursor }) });
  const { data, next_cursor: older } = await fetchJson(`conversations/${id}/messages?${query}`);
  return { messages: data.reverse(), older };
}

/** Brings the newest messages up to date, and listens to the reply that is being written, if any. */
async function refreshMessages() {
  const current = view;
  if (!current.id) return [];
  const { messages, older } = await fetchMessages(current.id);
  if (view !== current || current.turn) return [];
  if (current.parts.size === 0) current.older = older;
  placeMessages(messages);
  $('older').hidden = !current.older;
  stick();
  const newest = messages.at(-1);
  if (newest?.status === 'streaming') {
    run(newTurn({ generationId: newest.generation_id, reply: view.parts.get(newest.id) })).catch(report);
  }
  return messages;
}

async function loadOlder() {
  const current = view;
  const { messages, older } = await fetchMessages(current.id, current.older);
  if (view !== current) return;
  const fromBottom = $('log').scrollHeight - $('log').scrollTop;
  current.older = older;
  placeMessages(messages, true);
  $('older').hidden = !older;
  $('log').scrollTop = $('log').scrollHeight - fromBottom;
  if (!older) $('log').focus();
}

// ── A turn: sending a message, listening to its reply ───────────────────────
// The reply belongs to the server. Leaving the view only stops listening, and coming back listens from the start.

const TERMINAL = new Set(['done', 'cancelled', 'failed', 'interrupted']);
const GIVE_UP_MS = 60_000;
const UNCERTAIN = 'The server can’t be reached. Check whether it has your message before you send it again.';

const newTurn = (fields) => ({
  conversationId: view.id, content: '', question: null, reply: null, generationId: null, text: '', frame: 0,
  key: randomKey(), known: new Set(view.parts.keys()), controller: new AbortController(),
  sent: false, left: false, stopping: false, waiting: false, ...fields,
});

function send(content) {
  notify('');
  $('empty').hidden = true;
  const turn = newTurn({ content, question: newMessage('user'), reply: newMessage('assistant') });
  drawMessage(turn.question, { role: 'user', content });
  drawMessage(turn.reply, { role: 'assistant', content: '', status: 'streaming' });
  $('messages').append(turn.question.article, turn.reply.article);
  pinned = true;
  stick();
  run(turn).catch(report);
}

async function run(turn) {
  view.turn = turn;
  drawComposer();
  say(turn.content ? 'Sending…' : 'Joining the reply…');
  let failure = null;
  const outcome = await follow(turn).catch((error) => void (failure = error));
  if (turn.left) {
    if (failure && !turn.generationId && failure.code !== 'signed_out') {
      drafts.set(turn.conversationId, turn.content);
      report(failure);
    }
    return;
  }
  view.turn = null;
  say('');
  drawComposer();
  if (failure) await recover(turn, failure);
  else if (outcome === 'gone') await refreshMessages();
}

/** Listens until the terminal event, through whatever happens to the connection. */
async function follow(turn) {
  const cursor = { lastId: '', retryMs: 3000 };
  const { signal } = turn.controller;
  let brokenAt;
  for (let failures = 0; ; failures++) {
    let problem = Problem.unreachable();
    try {
      const response = await connect(turn, cursor);
      if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) return 'gone';
      for await (const event of readEvents(response, cursor)) {
        if (turn.left) return 'left';
        failures = 0;
        receive(turn, event);
        if (TERMINAL.has(event.name)) return 'settled';
      }
    } catch (error) {
      problem = error;
    }
    if (turn.generationId && problem.status === 404) return 'gone';
    if (failures === 0) brokenAt = Date.now();
    const mayPass = problem.code === 'unreachable' || (turn.generationId && (problem.status === 429 || problem.status >= 500));
    const isAbandoned = turn.stopping && !turn.sent;
    if (!mayPass || isAbandoned || Date.now() - brokenAt > GIVE_UP_MS) throw problem;
    if (!turn.left) say('Connection lost. Trying again…');
    // The first cut is most often a proxy's and worth no waiting; jitter keeps many pages from returning as one.
    const backOff = failures === 0 ? 250 : Math.min(cursor.retryMs * 2 ** (failures - 1), 15_000);
    turn.waiting = true;
    await pause(Math.max((problem.retryAfter ?? 0) * 1000, backOff * (0.75 + Math.random() / 2)), signal);
    turn.waiting = false;
    if (signal.aborted) throw problem;
  }
}

async function connect(turn, { lastId }) {
  const { signal } = turn.controller;
  const headers = { Accept: 'text/event-stream' };
  if (turn.generationId) {
    if (lastId) headers['Last-Event-ID'] = lastId;
    return api(`generations/${turn.generationId}/events`, { headers, signal });
  }
  if (!navigator.onLine) throw Problem.unreachable();
  turn.conversationId ??= await createConversation(turn);
  // From here on the server may have the question. Sent again under its key, it answers as it did at first.
  turn.sent = true;
  headers['Idempotency-Key'] = turn.key;
  const body = { content: turn.content };
  return api(`conversations/${turn.conversationId}/messages`, { method: 'POST', headers, body, signal });
}

/** The beginning of a question's first line, cut at a word where there is one. */
function titleFrom(content) {
  const [line] = content.split('\n');
  const [start] = /^.{20,60}(?!\S)|^.{1,60}/u.exec(line);
  return start === line ? line : `${start.trimEnd()}…`;
}

async function createConversation(turn) {
  const body = { title: titleFrom(turn.content) };
  const headers = { 'Idempotency-Key': turn.key };
  const created = await fetchJson('conversations', { method: 'POST', headers, body });
  if (view.turn === turn) {
    view.id = created.id;
    history.replaceState(null, '', `#/c/${created.id}`);
  }
  remember(created);
  return created.id;
}

/** Tells the stored question of a turn from those that were there before it. */
const isQuestion = ({ content, known }) => (message) =>
  message.role === 'user' && message.content === content && !known.has(message.id);

function receive(turn, { name, data }) {
  if (name === 'start') {
    turn.generationId = data.generation_id;
    turn.text = '';
    view.parts.set(data.message_id, turn.reply);
    if (turn.question) view.parts.set(data.user_message_id, turn.question);
    const conversation = conversations.get(turn.conversationId);
    if (conversation && turn.question) remember({ ...conversation, last_message_at: new Date().toISOString() });
    say(turn.stopping ? 'Stopping…' : 'Writing…');
    if (turn.stopping) cancel(turn).catch(report);
  } else if (name === 'queued') {
    say(`Waiting for a free place, number ${data.position} in line…`);
  } else if (name === 'delta') {
    turn.text += data.text;
    say(turn.stopping ? 'Stopping…' : 'Writing…');
    turn.frame ||= requestAnimationFrame(() => {
      turn.frame = 0;
      renderMarkdown(turn.reply.body, turn.text);
      stick();
    });
  } else if (TERMINAL.has(name)) {
    cancelAnimationFrame(turn.frame);
    drawMessage(turn.reply, { status: name, finish_reason: data.finish_reason, ...data.message }, data.error);
    stick();
    const { body, meta } = turn.reply;
    $('announcer').textContent = name === 'done' ? `Reply: ${body.textContent}` : meta.firstChild.textContent;
    if (data.error?.code?.startsWith('model_')) checkHealth();
  }
}

function discard({ question, reply }) {
  question.article.remove();
  reply.article.remove();
  $('empty').hidden = view.parts.size > 0;
}

async function recover(turn, error) {
  turn.reply.article.classList.remove('writing');
  if (turn.generationId) return report(error, { label: 'Reconnect', run: refreshMessages });
  discard(turn);
  // A model may fail after the message was stored: only the server knows whether it has to be sent again.
  const messages = await refreshMessages().catch(() => null);
  if (!messages?.some(isQuestion(turn)) && !$('input').value) setInput(turn.content);
  if (messages) report(error);
  else notify(UNCERTAIN, { label: 'Check', run: refreshMessages });
}

function leave() {
  const { turn } = view;
  if (!turn) return;
  turn.left = true;
  cancelAnimationFrame(turn.frame);
  // One that the server hasn't taken yet goes on being sent.
  if (turn.generationId) turn.controller.abort();
}

function stop() {
  const { turn } = view;
  if (!turn || turn.stopping) return;
  turn.stopping = true;
  say('Stopping…');
  drawComposer();
  if (turn.generationId) cancel(turn).catch(report);
  else if (turn.waiting) turn.controller.abort();
}

function cancel(turn) {
  return api(`generations/${turn.generationId}/cancel`, { method: 'POST' }).catch((problem) => {
    turn.stopping = false;
    drawComposer();
    throw problem;
  });
}

// ── Composer ────────────────────────────────────────────────────────────────

const drafts = new Map();

function setInput(text) {
  const input = $('input');
  input.value = text;
  input.style.height = 'auto';
  input.style.height = `${input.scrollHeight}px`;
}

function drawComposer() {
  const held = document.activeElement.classList.contains('send');
  $('send').hidden = Boolean(view.turn);
  $('stop').hidden = !view.turn;
  $('stop').disabled = Boolean(view.turn?.stopping);
  if (held) $('input').focus();
}

function focusInput() {
  // On a touch screen this would bring up the keyboard uninvited.
  if (matchMedia('(pointer: fine)').matches) $('input').focus();
}

function submit() {
  const content = $('input').value.trim();
  if (!content) return;
  if (view.turn) return say('The reply is still being written. Escape stops it.');
  setInput('');
  send(content);
}

// ── Navigation ──────────────────────────────────────────────────────────────

async function route() {
  const id = /^#\/c\/([\w-]+)$/.exec(location.hash)?.[1] ?? null;
  setDrawer(false);
  leave();
  drafts.set(view.id, $('input').value);
  view = newView(id);
  const current = view;
  pinned = true;
  $('messages').replaceChildren();
  $('older').hidden = true;
  $('empty').hidden = id !== null;
  say('');
  notify('');
  setInput(drafts.get(id) ?? '');
  drawConversations();
  drawComposer();
  focusInput();
  if (!id) return;
  $('log').ariaBusy = 'true';
  try {
    const known = conversations.has(id) ? null : fetchJson(`conversations/${id}`).then((found) => remember(found));
    await Promise.all([refreshMessages(), known]);
  } catch (error) {
    if (view !== current) return;
    if (error.status !== 404) return report(error, { label: 'Try again', run: route });
    history.replaceState(null, '', '#/');
    await route();
    report(error);
  } finally {
    $('log').ariaBusy = null;
  }
}

function setDrawer(open) {
  if ($('backdrop').hidden !== open) return;
  $('sidebar').classList.toggle('open', open);
  $('backdrop').hidden = !open;
  $('main').inert = open;
  $('drawer-open').ariaExpanded = String(open);
  $(open ? 'drawer-close' : 'drawer-open').focus();
}

const NEXT_THEME = { auto: 'light', light: 'dark', dark: 'auto' };

function drawTheme() {
  const theme = localStorage.getItem('repartee.theme') ?? 'auto';
  document.documentElement.dataset.theme = theme;
  document.querySelectorAll('[data-theme-toggle]').forEach((button) => (button.textContent = `Theme: ${theme}`));
}

function nextTheme() {
  localStorage.setItem('repartee.theme', NEXT_THEME[document.documentElement.dataset.theme]);
  drawTheme();
}

// ── Logging in and out ──────────────────────────────────────────────────────

const AUTH = {
  login: { title: 'Log in', question: 'New here?', other: 'register', autocomplete: 'current-password' },
  register: { title: 'Create an account', question: 'Been here before?', other: 'login', autocomplete: 'new-password' },
  forgot: { title: 'Send me a link', question: 'It came back to you?', other: 'login' },
  reset: { title: 'Choose a new password', question: 'No need any more?', other: 'login', autocomplete: 'new-password' },
};
let authMode = 'login';
/** What a link in a mail ended with. It goes into the body of one request, and nowhere else. */
let resetToken = '';

function setAuthMode(mode) {
  const { title, question, other, autocomplete } = AUTH[mode];
  authMode = mode;
  clearErrors($('auth-form'));
  $('auth-notice').textContent = '';
  $('auth-title').textContent = $('auth-submit').textContent = title;
  $('auth-question').textContent = question;
  $('auth-switch').textContent = AUTH[other].title;
  $('auth-forgot-line').hidden = mode !== 'login';
  const asked = { email: mode !== 'reset', password: mode !== 'forgot' };
  for (const [field, isAsked] of Object.entries(asked)) {
    $(field).required = isAsked;
    $(field).closest('.field').hidden = !isAsked;
  }
  $('password').name = mode === 'reset' ? 'new_password' : 'password';
  $('password').autocomplete = autocomplete ?? 'off';
  $('password-hint').hidden = mode === 'login';
}

function showAuth(text = '', mode = 'login') {
  leave();
  document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close());
  conversations.clear();
  drafts.clear();
  view = newView(null);
  setInput('');
  document.title = 'Repartee';
  $('app').hidden = true;
  $('auth').hidden = false;
  setAuthMode(mode);
  $('auth-form').querySelector('.form-error').textContent = text;
  $(mode === 'reset' ? 'password' : 'email').focus();
}

/** Logging in, with a word on what was done before. */
function showLogin(notice) {
  showAuth();
  $('auth-notice').textContent = notice;
}

/** A link in a mail holds its token in the fragment, which no server ever sees in an address. */
function takeMailedLink() {
  const [, purpose, token] = /^#(reset|verify)=([0-9a-f]{64})$/.exec(location.hash) ?? [];
  if (!token) return false;
  history.replaceState(null, '', '#/');
  if (purpose === 'reset') {
    resetToken = token;
    showAuth('', 'reset');
  } else {
    verify(token);
  }
  return true;
}

async function verify(token) {
  const text = await request('/api/v1/auth/email/verify', { method: 'POST', body: { token } })
    .then(() => 'Your address is confirmed.', (problem) => problem.message);
  if (session.get()) {
    showApp();
    notify(text);
  } else {
    showLogin(text);
  }
}

function showApp() {
  const { user } = session.get();
  $('account').textContent = user?.email ?? '';
  $('auth').hidden = true;
  $('app').hidden = false;
  checkHealth();
  loadConversations().catch(report);
  route();
}

async function authenticate() {
  const email = $('email').value.trim();
  const password = $('password').value;
  const post = (path, body) => request(`/api/v1/auth/${path}`, { method: 'POST', body });
  if (authMode === 'forgot') {
    await post('password/forgot', { email });
    return showLogin('If there is such an account, a link is on its way.');
  }
  if (authMode === 'reset') {
    await post('password/reset', { token: resetToken, new_password: password });
    resetToken = $('password').value = '';
    session.clear();
    return showLogin('Your password was changed. Log in with the new one.');
  }
  const response = await post(authMode, { email, password });
  $('password').value = '';
  if (response.status === 202) return showLogin('Look into your mail: a message says how to go on.');
  session.put(await response.json());
  showApp();
}

async function logOut() {
  // The log-in ends on this device even when the server can't be told.
  await api('auth/logout', { method: 'POST', body: {} }).catch(() => {});
  session.clear();
  history.replaceState(null, '', '#/');
  showAuth();
}

// ── Start ───────────────────────────────────────────────────────────────────

async function rename() {
  const body = { title: $('new-title').value.trim() };
  remember(await fetchJson(`conversations/${view.id}`, { method: 'PATCH', body }));
  $('rename-dialog').close();
}

async function deleteConversation() {
  await api(`conversations/${view.id}`, { method: 'DELETE' });
  conversations.delete(view.id);
  $('delete-dialog').close();
  location.hash = '#/';
}

const CLICKS = {
  '#stop': stop,
  '#notice-close': () => notify(''),
  '#drawer-open': () => setDrawer(true),
  '#drawer-close, #backdrop': () => setDrawer(false),
  '#sidebar': ({ target }) => target.closest('a') && (setDrawer(false), focusInput()),
  '[data-theme-toggle]': nextTheme,
  '[data-close]': ({ target }) => target.closest('dialog').close(),
  '#auth-switch': () => {
    setAuthMode(AUTH[authMode].other);
    $('email').focus();
  },
  '#auth-forgot': () => {
    setAuthMode('forgot');
    $('email').focus();
  },
  '#rename': () => {
    clearErrors($('rename-form'));
    $('new-title').value = conversations.get(view.id)?.title ?? '';
    $('rename-dialog').showModal();
    $('new-title').select();
  },
  '#delete': () => {
    clearErrors($('delete-form'));
    $('delete-name').textContent = titleOf(conversations.get(view.id));
    $('delete-dialog').showModal();
  },
  '#jump': () => {
    const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'instant' : 'smooth';
    $('log').scrollTo({ top: $('log').scrollHeight, behavior });
    $('log').focus({ preventScroll: true });
  },
};
for (const [selector, act] of Object.entries(CLICKS)) {
  document.querySelectorAll(selector).forEach((node) => node.addEventListener('click', act));
}
on($('logout'), 'click', logOut);
on($('older'), 'click', loadOlder);
on($('more-conversations'), 'click', () => loadConversations(nextConversations));
on($('composer'), 'submit', async () => submit());
onSubmit($('auth-form'), authenticate);
onSubmit($('rename-form'), rename);
onSubmit($('delete-form'), deleteConversation);

$('input').addEventListener('input', ({ target }) => setInput(target.value));
$('input').addEventListener('keydown', (event) => {
  // While an input method is composing, Enter chooses a word; Safari tells it by the code 229 only.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  submit();
});
addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing || document.querySelector('dialog[open]')) return;
  if ($('backdrop').hidden) stop();
  else setDrawer(false);
});

$('log').addEventListener('scroll', ({ target }) => {
  pinned = target.scrollHeight - target.scrollTop - target.clientHeight < 48;
  $('jump').hidden = pinned;
}, { passive: true });
new ResizeObserver(stick).observe($('log'));
matchMedia('(max-width: 52rem)').addEventListener('change', () => setDrawer(false));

/** What was missed while nobody looked: other devices and tabs write too. */
function catchUp() {
  $('offline').hidden = navigator.onLine;
  if ($('app').hidden || document.hidden || !navigator.onLine) return;
  loadConversations().catch(report);
  if (!view.turn) refreshMessages().catch(report);
}

addEventListener('hashchange', () => takeMailedLink() || $('app').hidden || route());
addEventListener('online', catchUp);
addEventListener('offline', catchUp);
document.addEventListener('visibilitychange', () => Date.now() - listedAt > 30_000 && catchUp());
addEventListener('storage', ({ key, oldValue, newValue }) => {
  const userOf = (stored) => JSON.parse(stored)?.user?.id;
  if (key === 'repartee.theme') drawTheme();
  else if (key === SESSION_KEY && !newValue) showAuth('You logged out in another tab.');
  else if (key === SESSION_KEY && userOf(oldValue) !== userOf(newValue)) location.reload();
});

drawTheme();
$('offline').hidden = navigator.onLine;
if (!takeMailedLink()) {
  if (session.get()) showApp();
  else showAuth();
}
