//! The contract of `SearchIndex`.

use repartee_application::{
    Page, PageRequest,
    ports::{
        ConversationRepository, Hit, MessageRepository, Place, SearchIndex, SearchKey,
        TurnRepository,
    },
};
use repartee_domain::{ConversationId, conversations::Conversation, search::Query};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, UPDATED, conversation, conversation_id, finished, message_id, said, user_id},
};

on_both_databases!(
    what_was_said_is_found_in_any_script,
    every_word_has_to_be_there,
    nobody_finds_what_others_said,
    the_better_hit_comes_first_and_a_title_before_all,
    the_newer_of_equals_comes_first_page_by_page,
    pages_follow_one_another_whatever_is_indexed_meanwhile,
    a_conversation_can_be_searched_alone,
    a_reply_is_found_once_it_has_ended,
    a_title_is_found_as_it_is_now,
    what_is_deleted_is_not_found,
    what_was_there_before_the_index_is_found,
    no_text_confuses_the_index,
    a_very_long_text_is_indexed,
    what_several_processes_index_is_indexed_once,
);

async fn search(db: &TestDatabase, owner: u32, query: &str) -> Vec<Hit> {
    page(db, owner, query, None, PageRequest { limit: 100, after: None }).await.items
}

async fn page(
    db: &TestDatabase,
    owner: u32,
    query: &str,
    conversation: Option<ConversationId>,
    page: PageRequest<SearchKey>,
) -> Page<Hit, SearchKey> {
    let query = Query::parse(query.into()).unwrap();
    db.search().search(user_id(owner), query, conversation, page).await.unwrap()
}

/// The numbers of the messages that are found, the best first; 0 for a title.
async fn found(db: &TestDatabase, owner: u32, query: &str) -> Vec<u128> {
    numbers(&search(db, owner, query).await)
}

fn numbers(hits: &[Hit]) -> Vec<u128> {
    let number = |hit: &Hit| hit.message.map_or(0, |(id, _)| id.as_uuid().as_u128() & 0xffff_ffff);
    hits.iter().map(number).collect()
}

async fn say(db: &TestDatabase, n: u32, conversation: u32, text: &str) {
    let message = said(n, conversation, text);
    db.messages().store(user_id(conversation), message, Place::LINEAR, None).await.unwrap();
}

async fn index(db: &TestDatabase) {
    while db.search().catch_up(7).await.unwrap() >= 7 {}
}

fn titled(n: u32, title: Option<&str>) -> Conversation {
    let mut conversation = conversation(n, n);
    conversation.subject.title = title.map(Into::into);
    conversation
}

async fn retitle(db: &TestDatabase, n: u32, title: Option<&str>) {
    let mut stored =
        db.conversations().find(user_id(n), conversation_id(n).into()).await.unwrap().unwrap();
    stored.subject.title = title.map(Into::into);
    db.conversations().save(stored, UPDATED).await.unwrap();
}

async fn what_was_said_is_found_in_any_script(db: &TestDatabase) {
    db.with_conversation(1).await;
    let texts = [
        "We went to the café in Zürich, naïvely",
        "ฉันชอบไปเที่ยวเชียงใหม่ในฤดูหนาว",
        "我昨天在东京吃了拉面",
        "昨日、東京都でラーメンを食べました",
        "학교에서 친구를 만났어요",
        "ذهبت إلى المَكْتَبَة أمس",
        "Party 🎉👩‍👩‍👧 tonight",
        "Привет, Ёлка и ΟΔΟΣ",
        "हिन्दी में बात करें",
    ];
    for (n, text) in (1..).zip(texts) {
        say(db, n, 1, text).await;
    }
    index(db).await;

    for (query, numbers) in [
        ("cafe", vec![1]),
        ("CAFÉ zurich", vec![1]),
        ("naiv", vec![1]),
        ("เชียงใหม่", vec![2]),
        ("เที่ยว หนาว", vec![2]),
        ("拉面", vec![3]),
        ("京吃", vec![3]),
        ("ラーメン", vec![4]),
        ("ﾗｰﾒﾝ", vec![4]),
        ("京", vec![4, 3]),
        ("都", vec![4]),
        ("학교", vec![5]),
        ("친구", vec![5]),
        ("المكتبة", vec![6]),
        ("🎉", vec![7]),
        ("👩‍👧", vec![7]),
        ("елка", vec![8]),
        ("οδός", vec![8]),
        ("हिन्दी", vec![9]),
        ("東吃", vec![]),
        ("fé", vec![]),
        ("friend", vec![]),
    ] {
        let mut found = found(db, 1, query).await;
        found.sort_by(|a, b| b.cmp(a));
        assert_eq!(found, numbers, "{query}");
    }
    let hit = search(db, 1, "cafe").await.swap_remove(0);
    let marked: Vec<_> = hit.snippet.iter().filter(|piece| piece.is_match).collect();
    assert_eq!((marked.len(), &*marked[0].text), (1, "café"));
    assert_eq!(hit.conversation, conversation_id(1));
    assert_eq!(hit.conversation_title.as_deref(), Some("Conversation 1"));
    assert_eq!(hit.created_at, said(1, 1, "x").created_at);
}

async fn every_word_has_to_be_there(db: &TestDatabase) {
    db.with_conversation(1).await;
    say(db, 1, 1, "green leaves, black tea").await;
    say(db, 2, 1, "green tea leaves").await;
    index(db).await;

    for (query, numbers) in [
        ("tea green", vec![1, 2]),
        ("\"green tea\"", vec![2]),
        ("\"green tea\" lea", vec![2]),
        ("\"tea green\"", vec![]),
        ("green coffee", vec![]),
        ("gre tea", vec![]),
        ("tea gre", vec![1, 2]),
        ("tea gr", vec![]),
        ("g", vec![]),
        ("!?", vec![]),
    ] {
        let mut found = found(db, 1, query).await;
        found.sort_unstable();
        assert_eq!(found, numbers, "{query}");
    }
}

async fn nobody_finds_what_others_said(db: &TestDatabase) {
    for n in [1, 2] {
        db.with_conversation(n).await;
        say(db, n, n, "a secret").await;
    }
    index(db).await;

    assert_eq!(found(db, 1, "secret").await, [1]);
    assert_eq!(found(db, 2, "secret").await, [2]);
    assert_eq!(found(db, 1, "conversation").await, [0]);
    assert_eq!(found(db, 3, "secret").await, []);
    let of_another =
        page(db, 1, "secret", Some(conversation_id(2)), PageRequest { limit: 9, after: None });
    assert_eq!(of_another.await.items, []);
}

async fn the_better_hit_comes_first_and_a_title_before_all(db: &TestDatabase) {
    db.with_user(1).await;
    db.conversations().insert(titled(1, Some("Tea and more")), None).await.unwrap();
    for n in 1..=3 {
        say(db, n, 1, "something else that nobody looks for, and nothing of it is long").await;
    }
    say(db, 4, 1, "tea tea tea").await;
    say(db, 5, 1, "what I said of tea I said among many other things that I said").await;
    index(db).await;

    assert_eq!(found(db, 1, "tea").await, [0, 4, 5]);
}

async fn the_newer_of_equals_comes_first_page_by_page(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=5 {
        say(db, n, 1, "the same").await;
    }
    index(db).await;

    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = page(db, 1, "same", None, PageRequest { limit: 2, after }).await;
        pages.push(numbers(&page.items));
        after = page.next;
        if after.is_none() {
            break;
        }
    }

    assert_eq!(pages, [vec![5, 4], vec![3, 2], vec![1]]);
}

async fn pages_follow_one_another_whatever_is_indexed_meanwhile(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.with_conversation(2).await;
    for n in 1..=5 {
        say(db, n, 1, "the same").await;
    }
    index(db).await;
    for (n, owner, text) in [(6, 2, "something else, and much more of it"), (7, 2, "the same")] {
        let first = page(db, 1, "same", None, PageRequest { limit: 2, after: None }).await;
        assert_eq!(numbers(&first.items), [5, 4]);

        say(db, n, owner, text).await;
        index(db).await;

        let rest = PageRequest { limit: 3, after: first.next };
        assert_eq!(numbers(&page(db, 1, "same", None, rest).await.items), [3, 2, 1]);
    }
}

async fn a_conversation_can_be_searched_alone(db: &TestDatabase) {
    db.with_conversation(1).await;
    let mut other = conversation(2, 1);
    other.subject.title = Some("More of conversations".into());
    db.conversations().insert(other, None).await.unwrap();
    say(db, 1, 1, "tea").await;
    let mut message = said(2, 2, "tea");
    message.conversation = conversation_id(2);
    db.messages().store(user_id(1), message, Place::LINEAR, None).await.unwrap();
    index(db).await;

    assert_eq!(found(db, 1, "tea").await, [2, 1]);
    for (n, numbers_found) in [(1, [1]), (2, [2])] {
        let all = PageRequest { limit: 9, after: None };
        let hits = page(db, 1, "tea", Some(conversation_id(n)), all).await.items;
        assert_eq!(numbers(&hits), numbers_found);
        let titles = page(db, 1, "conversation", Some(conversation_id(n)), all).await.items;
        assert_eq!((titles.len(), titles[0].conversation), (1, conversation_id(n)));
    }
}

async fn a_reply_is_found_once_it_has_ended(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    index(db).await;
    assert_eq!(found(db, 1, "why").await, [2]);
    assert_eq!(found(db, 1, "därför").await, []);

    db.turns().finish_turn(finished(&turn, 1, None)).await.unwrap();
    index(db).await;

    assert_eq!(found(db, 1, "därför").await, [3]);
}

async fn a_title_is_found_as_it_is_now(db: &TestDatabase) {
    db.with_user(1).await;
    db.conversations().insert(titled(1, None), None).await.unwrap();
    index(db).await;
    for (title, (tea, cake)) in [
        (Some("Green tea"), (1, 0)),
        (Some("Cake"), (0, 1)),
        (Some("?!"), (0, 0)),
        (Some("Tea cakes"), (1, 1)),
        (None, (0, 0)),
    ] {
        retitle(db, 1, title).await;
        index(db).await;
        assert_eq!(found(db, 1, "tea").await.len(), tea, "{title:?}");
        assert_eq!(found(db, 1, "cake").await.len(), cake, "{title:?}");
    }
    assert_eq!(db.count("search_documents").await, 0);
    assert_eq!(db.search().catch_up(9).await.unwrap(), 0);
}

async fn what_is_deleted_is_not_found(db: &TestDatabase) {
    for n in [1, 2] {
        db.with_conversation(n).await;
        say(db, n, n, "tea").await;
    }
    index(db).await;

    db.conversations().delete(user_id(1), conversation_id(1), NOW).await.unwrap();
    assert_eq!(found(db, 1, "tea").await, []);
    assert_eq!(found(db, 1, "conversation").await, []);
    assert_eq!(db.count("search_documents").await, 2);
    db.execute("DELETE FROM users").await;
    assert_eq!(found(db, 2, "tea").await, []);
    assert_eq!(db.count("search_documents").await, 0);
    // Numbers of what is gone are not given to what comes.
    db.with_conversation(3).await;
    say(db, 3, 3, "coffee").await;
    index(db).await;
    assert_eq!(found(db, 3, "tea").await, []);
    assert_eq!(found(db, 3, "coffee").await, [3]);
}

async fn what_was_there_before_the_index_is_found(db: &TestDatabase) {
    let steps = db.db.migration_status().await.unwrap();
    let search = steps.iter().rposition(|step| step.name.ends_with("search")).unwrap();
    let later = u32::try_from(steps.len() - search).unwrap();
    db.db.migrate_down(later).await.unwrap();
    db.with_conversation(1).await;
    for n in 1..=20 {
        say(db, n, 1, "tea").await;
    }

    db.db.migrate_up().await.unwrap();
    index(db).await;

    assert_eq!(found(db, 1, "tea").await.len(), 20);
    assert_eq!(found(db, 1, "conversation").await, [0]);
}

async fn no_text_confuses_the_index(db: &TestDatabase) {
    db.with_conversation(1).await;
    let hostile = [
        "' OR 1=1 --",
        "\"",
        "'a':1A,2B",
        "a:*",
        "\\",
        "a & !b | (c <-> d)",
        "NEAR(a b)",
        "{terms}: a",
        "a* ^b -c +d",
        "''",
        "\u{1}\u{feff}\u{202e}",
        "🏽\u{200d}",
        "\u{301}",
        "%_",
        "$1 ?",
        "AND OR NOT",
        "ﷺ ㌔",
        "\u{e0001}",
        "0x00",
        "a\u{85}b\u{a0}c\u{2028}d",
    ];
    for (n, text) in (1..).zip(hostile) {
        say(db, n, 1, text).await;
    }
    index(db).await;

    for (n, text) in (1..).zip(hostile) {
        let found = found(db, 1, text).await;
        let has_terms = !Query::parse(text.into()).unwrap().phrases().is_empty();
        assert!(found.contains(&n) || !has_terms, "{text:?}: {found:?}");
    }
    // Any characters in any order: seeded, so that what fails fails again.
    let mut random = 7_u32;
    for _ in 0..200 {
        let text: String = std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let most = [0x80, 0x800, 0x1_0000, 0x11_0000][(random >> 30) as usize];
            char::from_u32((random >> 8) % most).filter(|c| *c != '\0').unwrap_or('"')
        })
        .take(30)
        .collect();
        search(db, 1, &text).await;
    }
}

async fn a_very_long_text_is_indexed(db: &TestDatabase) {
    db.with_conversation(1).await;
    let words: Vec<_> = (0..16_000).map(|n| format!("w{n:x}")).collect();
    let unlike: String = ('\u{4e00}'..='\u{9fff}').chain('\u{20000}'..='\u{2a6df}').collect();
    let texts = [
        words.join(" "),
        "same ".repeat(20_000),
        unlike.chars().take(100_000).collect(),
        "𐐨".repeat(100_000),
    ];
    for (n, text) in (1..).zip(&texts) {
        let mut message = said(n, 1, "x");
        message.content = text.clone();
        db.messages().store(user_id(1), message, Place::LINEAR, None).await.unwrap();
    }
    index(db).await;

    assert_eq!(found(db, 1, "w0 w3e7f").await, [1]);
    assert_eq!(found(db, 1, "\"same same\"").await, [2]);
    assert_eq!(found(db, 1, "一丁").await, [3]);
    assert_eq!(found(db, 1, &"𐐨".repeat(200)).await, [4]);
}

async fn what_several_processes_index_is_indexed_once(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=30 {
        say(db, n, 1, "tea").await;
    }
    futures::future::join_all((0..4).map(|_| index(db))).await;
    index(db).await;

    assert_eq!(found(db, 1, "tea").await.len(), 30);
    assert_eq!(db.count("search_documents").await, 31);
    assert_eq!(search(db, 1, "tea").await[0].message.unwrap().0, message_id(30));
}
