// The official OpenAI SDK for Node against this server: only the base URL and the key differ. Run by
// scripts/test-sdks, which says in the environment where everything is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import OpenAI from "openai";

const { BASE, UPSTREAM, KEY, POOR_KEY } = process.env;
const messages = [{ role: "user", content: "Which tea keeps me awake?" }];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }];

const client = (apiKey = KEY, options = {}) => new OpenAI({ baseURL: BASE, apiKey, ...options });
const words = (count) => Array.from({ length: count }, (_, n) => `tok~${n}~ `).join("");
const aborted = async () => (await (await fetch(`${UPSTREAM}/mock/stats`)).json()).aborted;

const ask = (model, fields = {}) => client().chat.completions.create({ model, messages, ...fields });

async function waitForAborted(count) {
  const until = Date.now() + 1000;
  while ((await aborted()) < count) {
    assert.ok(Date.now() < until, "the model goes on after a second");
    await sleep(20);
  }
}

test("models are listed and found", async () => {
  const listed = [];
  for await (const model of client().models.list()) listed.push(model);
  assert.deepEqual(listed.map((model) => model.id), ["mock-16-5"]);
  assert.deepEqual(await client().models.retrieve("mock-16-5"), listed[0]);
});

test("a whole answer", async () => {
  const answer = await ask("mock-4-0", { temperature: 0.3 });
  assert.equal(answer.choices[0].message.content, words(4));
  assert.equal(answer.usage.completion_tokens, 4);
});

test("a stream with its usage", async () => {
  const chunks = [];
  const streamed = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await ask("mock-8-2", streamed)) chunks.push(chunk);
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  assert.equal(text, words(8));
  assert.equal(chunks.at(-1).usage.completion_tokens, 8);
});

test("a round trip with a tool, put together by the SDK", async () => {
  const calling = client().chat.completions.stream({ model: "mock-tools", messages, tools });
  const { message } = (await calling.finalChatCompletion()).choices[0];
  const [call] = message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
  const result = { role: "tool", tool_call_id: call.id, content: "It snows." };
  const answer = await ask("mock-tools", { messages: [...messages, message, result], tools });
  assert.equal(answer.choices[0].message.content, "It snows.");
});

test("texts are put into vectors", async () => {
  const answer = await client().embeddings.create({ model: "mock-1-0", input: "green tea" });
  assert.deepEqual(Array.from(answer.data[0].embedding), [2, 0.5, 0.5, 0.5]);
});

test("leaving a stream stops the model", async () => {
  const before = await aborted();
  for await (const chunk of await ask("mock-hangmid", { stream: true })) {
    assert.equal(chunk.choices[0].delta.role, "assistant");
    break;
  }
  await waitForAborted(before + 1);
});

test("trouble of the provider is tried again", async () => {
  // Three times by the server, and then by the SDK.
  const answer = await ask("mock-503-times-4:node");
  assert.equal(answer.choices[0].message.content, words(16));
});

test("errors have the SDK's classes", async () => {
  const create = (key, fields) => client(key).chat.completions.create({ model: "mock-1-0", messages, ...fields });
  await assert.rejects(create("rpt_wrong"), (error) => error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key");
  await assert.rejects(create(KEY, { model: "gpt-none" }), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
  await assert.rejects(create(KEY, { n: 2 }), (error) => error instanceof OpenAI.BadRequestError && error.param === "n");
});

test("a budget that is used up is not asked again", async () => {
  let requests = 0;
  const counting = (...request) => {
    requests += 1;
    return fetch(...request);
  };
  const poor = client(POOR_KEY, { fetch: counting });
  await assert.rejects(poor.chat.completions.create({ model: "mock-1-0", messages }), (error) => error instanceof OpenAI.RateLimitError && error.code === "insufficient_quota");
  assert.equal(requests, 1);
});

test("an answer that breaks off is an error", async () => {
  const read = async () => {
    for await (const _ of await ask("mock-cut", { stream: true }));
  };
  await assert.rejects(read(), (error) => error instanceof OpenAI.APIError && error.code === "model_failed");
});
