//! Reading hits, the best first.

use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{Hit, PortError, SearchKey},
};
use repartee_domain::{
    ConversationId, MessageId, UserId,
    search::{Query, snippet},
};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::expression::{Kind, Wanted};
use crate::persistence::{Database, batch::statement, error::database, stored::parsed};

/// How many messages are ranked, and how many titles: a word that is everywhere takes no longer.
const RANKED: i64 = 1_000;
/// A title weighs so much more than a message.
const TITLE: f64 = 4.0;

/// Takes what is looked for.
const MATCHING_ON_SQLITE: &str = "SELECT * FROM (SELECT rowid AS id, \
    -bm25(search_terms) * CAST(? AS double precision) AS score FROM search_terms \
    WHERE search_terms MATCH ? ORDER BY rowid DESC LIMIT ?)";
/// The order in phrases is looked at in these alone, for no index knows it.
const MATCHING_ON_POSTGRES: &str = "SELECT id, \
    ts_rank_cd(terms, query, 1) * CAST(? AS double precision) AS score FROM (\
    SELECT id, terms, CAST(? AS tsquery) AS query FROM search_documents \
    WHERE terms @@ CAST(? AS tsquery) ORDER BY id DESC LIMIT ?) AS newest WHERE terms @@ query";
/// The owner's, after the last of the page before: by the score that it has now, for scores of FTS5
/// move with whatever is indexed. To SQLite a cross join says that it has to begin
/// at what matches, and not at everything that is the owner's.
const RANKING: &str = "SELECT matching.id, score, search_documents.conversation_id, message_id \
    FROM matching CROSS JOIN search_documents CROSS JOIN conversations \
    WHERE search_documents.id = matching.id \
    AND conversations.id = search_documents.conversation_id \
    AND owner_id = ? AND (score, matching.id) < (COALESCE(\
    (SELECT score FROM matching WHERE id = ?), CAST(? AS double precision)), ?) \
    ORDER BY score DESC, matching.id DESC LIMIT ?";
/// Texts are read of those alone that are shown, and no further than terms go.
const HITS: &str = "SELECT ranking.id AS document, score, ranking.conversation_id, \
    conversations.code, title, message_id, role, substr(content, 1, 200000) AS content, \
    COALESCE(messages.created_at, conversations.created_at) AS created_at FROM ranking \
    CROSS JOIN conversations LEFT JOIN messages ON messages.id = message_id \
    WHERE conversations.id = ranking.conversation_id ORDER BY score DESC, document DESC";

#[derive(FromQueryResult)]
struct Row {
    document: i64,
    score: f64,
    conversation_id: Uuid,
    code: String,
    title: Option<String>,
    message_id: Option<Uuid>,
    role: Option<String>,
    content: Option<String>,
    created_at: DateTime<Utc>,
}

pub(super) async fn search(
    db: &Database,
    owner: UserId,
    query: Query,
    conversation: Option<ConversationId>,
    page: PageRequest<SearchKey>,
) -> Result<Page<Hit, SearchKey>, PortError> {
    if query.phrases().is_empty() {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let backend = db.reader().get_database_backend();
    let statement = hits(backend, owner, &query, conversation, page);
    let rows = db.reader().query_all_raw(statement).await.map_err(database)?;
    let rows = rows.iter().map(|row| Row::from_query_result(row, ""));
    let rows = rows.collect::<Result<Vec<_>, _>>().map_err(database)?;
    // Long texts take a while.
    let reading = tokio::task::spawn_blocking(move || {
        rows.into_iter().map(|row| row.into_hit(&query)).collect::<Result<Vec<_>, _>>()
    });
    let hits = reading.await.map_err(|error| PortError::Unavailable(error.into()))??;
    Ok(Page::of(hits, page.limit, |hit| hit.key))
}

fn hits(
    backend: DbBackend,
    owner: UserId,
    query: &Query,
    conversation: Option<ConversationId>,
    page: PageRequest<SearchKey>,
) -> Statement {
    let matching = match backend {
        DbBackend::Sqlite => MATCHING_ON_SQLITE,
        _ => MATCHING_ON_POSTGRES,
    };
    let mut values: Vec<Value> = Vec::with_capacity(12);
    for (kind, weight) in [(Kind::Message, 1.0), (Kind::Title, TITLE)] {
        let wanted = Wanted { owner, kind, conversation, query };
        values.push(weight.into());
        match backend {
            DbBackend::Sqlite => values.push(wanted.fts5().into()),
            _ => values.extend([wanted.phrases().into(), wanted.terms().into()]),
        }
        values.push(RANKED.into());
    }
    let first = SearchKey { score: f64::MAX, document: i64::MAX };
    let after = page.after.unwrap_or(first);
    values.extend([
        owner.as_uuid().into(),
        after.document.into(),
        after.score.into(),
        after.document.into(),
        (i64::from(page.limit) + 1).into(),
    ]);
    let sql = format!(
        "WITH matching AS MATERIALIZED ({matching} UNION ALL {matching}), ranking AS ({RANKING}) {HITS}"
    );
    statement(backend, &sql, values)
}

impl Row {
    fn into_hit(self, query: &Query) -> Result<Hit, PortError> {
        let text = self.content.as_deref().or(self.title.as_deref()).unwrap_or_default();
        let message = match (self.message_id, &self.role) {
            (Some(id), Some(role)) => Some((MessageId::from_uuid(id), parsed(role)?)),
            _ => None,
        };
        Ok(Hit {
            key: SearchKey { score: self.score, document: self.document },
            conversation: ConversationId::from_uuid(self.conversation_id),
            conversation_code: parsed(&self.code)?,
            message,
            snippet: snippet(text, query),
            conversation_title: self.title,
            created_at: self.created_at,
        })
    }
}
