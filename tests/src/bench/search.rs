//! Searching 100,000 messages, while others have as many that say the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio::time::{Instant, sleep};

use super::{
    Site,
    accounts::{Account, Conversation},
    client::{Call, Client},
    figures::{Table, ms, percentile},
    progress,
};

const MESSAGES: usize = 100_000;
const IN_A_CONVERSATION: usize = 500;
const IN_A_STATEMENT: usize = 250;
const WORDS: usize = 60;
/// Words that texts are made of, the first ones most often.
const VOCABULARY: usize = 20_000;
const OTHERS: usize = 5;
const LONGEST_INDEXING: Duration = Duration::from_mins(20);

/// What is asked, and what that is called.
const QUESTIONS: [(&str, &str); 10] = [
    ("none found", "q=nowhere"),
    ("a rare word", "q=rare7"),
    ("a word of every hundredth", "q=hundredth"),
    ("a word of every message", "q=the"),
    ("two words, both in every message", "q=the%20tea"),
    ("a phrase that is in every message", "q=%22the%20tea%22"),
    ("a beginning of 40 words", "q=bab"),
    ("Japanese, in every message", "q=%E6%9D%B1%E4%BA%AC"),
    ("one character, in every message", "q=%E4%BA%AC"),
    ("a word of every message, in one conversation", "q=the&conversation_id="),
];

pub(super) async fn measure(site: &Site) -> Result<String> {
    let server = site.start_server("search").await?;
    let mut client = Client::new(server.address);
    let mut registrar = site.registrar(&server, "search");
    let mut accounts = Vec::new();
    for _ in 0..=OTHERS {
        accounts.push(registrar.register().await?);
    }
    let messages = site.scaled(MESSAGES, MESSAGES / 10);
    let mut conversations = converse(&mut client, &accounts[..1], messages).await?;
    conversations.extend(converse(&mut client, &accounts[1..], messages).await?);
    server.stop().await?;

    progress(&format!("search: storing 2 × {messages} messages"));
    fill(site, &conversations).await?;
    let server = site.start_server("search").await?;
    progress("search: indexing them");
    let begun = Instant::now();
    let mut client = Client::new(server.address);
    indexed(&mut client, &conversations).await?;
    let indexing = begun.elapsed();
    if let Some(url) = &site.options.postgres {
        // As autovacuum would within a minute.
        PgConnection::connect(url).await?.execute("ANALYZE").await?;
    }

    progress("search: asking");
    let times = site.scaled(200, 50);
    let token = &accounts[0].token;
    let list = took(&mut client, "/api/v1/conversations", token, times).await?;
    let mut table = Table::new(&["found by", "p50 ms", "p95 ms", "× list", "hits"]);
    row(&mut table, "the list of conversations, 20 of them", &list, &list);
    for (name, query) in QUESTIONS {
        let within = if query.ends_with('=') { conversations[0].id.as_str() } else { "" };
        let path = format!("/api/v1/search?{query}{within}");
        let asked = took(&mut client, &path, token, times).await?;
        row(&mut table, name, &asked, &list);
    }
    Ok(format!(
        "## Search ({messages} own messages of {WORDS} words, {messages} of {OTHERS} others)\n\n{}\n\
         Indexed {:.0} messages a second.\n",
        table.into_text(),
        f64::from(u32::try_from(2 * messages)?) / indexing.as_secs_f64(),
    ))
}

/// As many as the messages need, of each in turn.
async fn converse(
    client: &mut Client,
    accounts: &[Account],
    messages: usize,
) -> Result<Vec<Conversation>> {
    let mut conversations = Vec::new();
    for account in accounts.iter().cycle().take(messages / IN_A_CONVERSATION) {
        conversations.push(account.converse(client).await?);
    }
    Ok(conversations)
}

/// Past the server, which would take minutes.
async fn fill(site: &Site, conversations: &[Conversation]) -> Result<()> {
    let mut random = Random(7);
    if let Some(url) = &site.options.postgres {
        let mut connection = PgConnection::connect(url).await?;
        for sql in statements(conversations, &mut random, |id| format!("CAST('{id}' AS uuid)")) {
            connection.execute(AssertSqlSafe(sql)).await?;
        }
        return Ok(connection.close().await?);
    }
    let file = site.directory.path().join("search/bench.db");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await?;
    connection.execute("BEGIN").await?;
    let id = |id: &str| format!("X'{}'", id.replace('-', ""));
    for sql in statements(conversations, &mut random, id) {
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    connection.execute("COMMIT").await?;
    Ok(connection.close().await?)
}

fn statements(
    conversations: &[Conversation],
    random: &mut Random,
    id: impl Fn(&str) -> String,
) -> impl Iterator<Item = String> {
    let last = conversations.len() * IN_A_CONVERSATION - 1;
    let portions =
        (0..IN_A_CONVERSATION / IN_A_STATEMENT).flat_map(move |_| conversations.iter()).enumerate();
    portions.map(move |(portion, conversation)| {
        let first = portion * IN_A_STATEMENT;
        let rows = (first..first + IN_A_STATEMENT).map(|number| {
            let message = uuid::Uuid::from_u128((0x0199 << 112) | (number as u128) << 64 | 7);
            format!(
                "({}, '{number:010}', '{}')",
                id(&message.to_string()),
                random.text(number, last)
            )
        });
        let rows: Vec<_> = rows.collect();
        format!(
            "INSERT INTO messages (id, code, conversation_id, role, content, status, created_at, \
             updated_at, version) SELECT column1, column2, id, 'user', column3, 'complete', \
             created_at, created_at, 1 FROM conversations, (VALUES {}) AS said WHERE id = {}",
            rows.join(", "),
            id(&conversation.id)
        )
    })
}

/// Xorshift: the same texts every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or_default()
    }

    fn text(&mut self, number: usize, last: usize) -> String {
        let mut text = "the tea of 東京, ".to_owned();
        if number.is_multiple_of(100) {
            text.push_str("hundredth ");
        }
        if number.is_multiple_of(10_000) {
            text.push_str("rare7 ");
        }
        if number == last {
            text.push_str("lastofall ");
        }
        for _ in 4..WORDS {
            // Squared, so that some words are common.
            let word = self.next() % VOCABULARY * (self.next() % VOCABULARY) / VOCABULARY;
            for syllable in [word % 50, word / 50 % 50, word / 2_500] {
                text.push(char::from(b"bdfgklmnpr"[syllable / 5]));
                text.push(char::from(b"aeiou"[syllable % 5]));
            }
            text.push(' ');
        }
        text
    }
}

/// Messages are indexed in their order: the last one is found last.
async fn indexed(client: &mut Client, conversations: &[Conversation]) -> Result<()> {
    let last = conversations.last().context("there are no conversations")?;
    let call =
        Call::new(Method::GET, "/api/v1/search?q=lastofall", Some(&last.token), &Value::Null)?;
    let begun = Instant::now();
    while hits(&client.json(&call).await?) == 0 {
        ensure!(begun.elapsed() < LONGEST_INDEXING, "not indexed within {LONGEST_INDEXING:?}");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn hits(answer: &Value) -> usize {
    answer["data"].as_array().map_or(0, Vec::len)
}

struct Asked {
    sorted: Vec<Duration>,
    hits: usize,
}

async fn took(client: &mut Client, path: &str, token: &str, times: usize) -> Result<Asked> {
    let call = Call::new(Method::GET, path, Some(token), &Value::Null)?;
    // Not counted: it warms the caches.
    let hits = hits(&client.json(&call).await?);
    let mut sorted = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        client.json(&call).await?;
        sorted.push(begun.elapsed());
    }
    sorted.sort_unstable();
    Ok(Asked { sorted, hits })
}

fn row(table: &mut Table, name: &str, asked: &Asked, list: &Asked) {
    let [p50, p95] = [50, 95].map(|percent| ms(percentile(&asked.sorted, percent)));
    let times = p50 / ms(percentile(&list.sorted, 50));
    table.row(&[
        name.to_owned(),
        format!("{p50:.1}"),
        format!("{p95:.1}"),
        format!("{times:.1}"),
        asked.hits.to_string(),
    ]);
}
