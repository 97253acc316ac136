//! Answering anew, asking otherwise, going on from an earlier message.

mod races;
mod refusals;

use repartee_tests::server::{Answer, Client, Events, Server, Setup};
use reqwest::{Method, header::ACCEPT};
use serde_json::{Value, json};

use crate::support::{
    ask, assert_whole, conversation, id_of, id_of_user, list, messages, on_both_databases,
    somebody, text, words, written,
};

on_both_databases!(
    a_reply_is_written_anew_beside_the_first,
    a_regenerated_reply_is_streamed,
    a_question_is_asked_in_other_words,
    an_older_branch_is_gone_on_with,
    what_was_only_stored_is_answered_at_last,
    a_conversation_begins_anew,
    only_what_is_new_is_told,
    the_newest_branch_is_what_other_clients_see,
);

/// What the model was shown last, without the system message.
fn shown(server: &Server) -> Vec<String> {
    let request = server.upstream().requests().pop().expect("the model was asked");
    let said = request.messages().iter().skip(1);
    said.map(|message| text(&message["content"]).to_owned()).collect()
}

async fn branch(client: &Client, conversation: &str, branch: &str) -> Vec<Value> {
    let path = format!("{conversation}/messages?limit=100&branch={branch}");
    list(&client.get(&path).await.expect(200)["data"]).to_vec()
}

fn contents(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| text(&message["content"])).collect()
}

/// Two turns, of two words and of one.
async fn two_turns(client: &Client) -> (String, Value, Value) {
    let conversation = conversation(client).await;
    let first = ask(client, &conversation, "First?", "mock-2-0").await.expect(200);
    let second = ask(client, &conversation, "Second?", "mock-1-0").await.expect(200);
    (conversation, first, second)
}

fn path(conversation: &str, message: &Value) -> String {
    format!("{conversation}/messages/{}", text(&message["id"]))
}

async fn a_reply_is_written_anew_beside_the_first(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, second) = two_turns(&ada).await;
    let anew = format!("{}/regenerate", path(&conversation, &first["reply"]));

    let body = json!({"model": "mock-3-0", "temperature": 0.25, "max_tokens": 9});
    let turn = ada.post(&anew, &body).await.expect(200);

    assert_eq!(turn["message"]["id"], first["message"]["id"]);
    assert_eq!(turn["reply"]["content"], words(3));
    assert_eq!(turn["reply"]["parent_id"], first["message"]["id"]);
    assert_eq!(turn["usage"]["completion_tokens"], 3);
    assert_eq!(shown(&server), ["First?"], "neither the old reply nor what followed");
    let request = server.upstream().requests().pop().unwrap();
    assert_eq!(request.param("temperature"), 0.25);
    assert_eq!(request.param("max_tokens"), 9);

    let listed = messages(&ada, &conversation).await;
    assert_eq!(listed, [turn["message"].clone(), turn["reply"].clone()]);
    let older = branch(&ada, &conversation, text(&first["reply"]["code"])).await;
    assert_eq!(contents(&older), ["First?", &words(2), "Second?", &words(1)]);
    assert_eq!(older[2]["parent_id"], first["reply"]["id"], "what followed says what it follows");
    let all = branch(&ada, &conversation, "all").await;
    assert_eq!(all.len(), 5);
    let stats = ada.get(&format!("{conversation}/stats")).await.expect(200);
    assert_eq!(stats["messages"], json!({"user": 2, "assistant": 3}));

    // By the question, and of what is listed no more.
    let question = format!("{}/regenerate", path(&conversation, &second["message"]));
    let again = ada.post(&question, &json!({"model": "mock-4-0"})).await.expect(200);
    assert_eq!(again["reply"]["parent_id"], second["message"]["id"]);
    assert_eq!(shown(&server), ["First?", &words(2), "Second?"]);
    let listed = messages(&ada, &conversation).await;
    assert_eq!(contents(&listed), ["First?", &words(2), "Second?", &words(4)]);
    ask(&ada, &conversation, "Third?", "mock-1-0").await.expect(200);
    assert_eq!(shown(&server), ["First?", &words(2), "Second?", &words(4), "Third?"]);
}

async fn a_regenerated_reply_is_streamed(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, _, second) = two_turns(&ada).await;

    let anew = format!("{}/regenerate", path(&conversation, &second["reply"]));
    let events = ada.stream(&anew, &json!({"model": "mock-64-1"})).await.rest().await;

    assert_whole(&events);
    assert_eq!(written(&events), words(64));
    assert_eq!(events[0].json()["user_message_id"], second["message"]["id"]);
    let listed = messages(&ada, &conversation).await;
    assert_eq!(events.last().unwrap().json()["message"], listed[3]);
    // With no body at all.
    let request = ada.request(Method::POST, &anew);
    let whole = Answer::to(request).await.expect(200);
    assert_eq!(whole["message"]["id"], second["message"]["id"]);
}

async fn a_question_is_asked_in_other_words(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, second) = two_turns(&ada).await;
    let question = path(&conversation, &second["message"]);

    let body = json!({"content": "Rather?", "model": "mock-3-0"});
    let turn = ada.patch(&question, &body).await.expect(200);

    assert_eq!(turn["message"]["content"], "Rather?");
    assert_ne!(turn["message"]["id"], second["message"]["id"]);
    assert_eq!(turn["message"]["parent_id"], first["reply"]["id"]);
    assert_eq!(turn["reply"]["parent_id"], turn["message"]["id"]);
    assert_eq!(shown(&server), ["First?", &words(2), "Rather?"]);
    let listed = messages(&ada, &conversation).await;
    assert_eq!(contents(&listed), ["First?", &words(2), "Rather?", &words(3)]);
    let older = branch(&ada, &conversation, text(&second["message"]["id"])).await;
    assert_eq!(contents(&older), ["First?", &words(2), "Second?", &words(1)]);

    // Only stored; and answered when somebody asks for it.
    let asked = server.upstream().requests().len();
    let body = json!({"content": "Or so?", "reply": false});
    let stored = ada.patch(&question, &body).await.expect(201);
    assert_eq!((&stored["reply"], &stored["usage"]), (&Value::Null, &Value::Null));
    assert_eq!(stored["message"]["parent_id"], first["reply"]["id"]);
    assert_eq!(server.upstream().requests().len(), asked);
    let anew = format!("{}/regenerate", path(&conversation, &stored["message"]));
    let events = ada.stream(&anew, &json!({"model": "mock-echo"})).await.rest().await;
    assert_whole(&events);
    assert_eq!(shown(&server), ["First?", &words(2), "Or so?"]);

    let body = json!({"content": "Streamed?", "model": "mock-5-0"});
    let request = ada.request(Method::PATCH, &question).json(&body);
    let request = request.header(ACCEPT, "text/event-stream");
    let events = Events::try_of(request).await.unwrap().rest().await;
    assert_whole(&events);
    assert_eq!(written(&events), words(5));
    assert_eq!(branch(&ada, &conversation, "all").await.len(), 10);
}

async fn an_older_branch_is_gone_on_with(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, second) = two_turns(&ada).await;
    let send = async |content: &str, parent: &Value| {
        let body = json!({"content": content, "model": "mock-1-0", "parent_id": parent});
        ada.post(&format!("{conversation}/messages"), &body).await
    };

    // What follows the end makes no branch.
    let third = send("Third?", &second["reply"]["code"]).await.expect(200);
    assert_eq!(third["message"]["parent_id"], Value::Null);
    let fork = send("Otherwise?", &first["reply"]["id"]).await.expect(200);
    assert_eq!(fork["message"]["parent_id"], first["reply"]["id"]);
    assert_eq!(shown(&server), ["First?", &words(2), "Otherwise?"]);
    send("Back again?", &third["reply"]["id"]).await.expect(200);
    let back = ["First?", &words(2), "Second?", &words(1), "Third?", &words(1), "Back again?"];
    assert_eq!(shown(&server), back);
    let note = json!({"content": "A note", "role": "system", "parent_id": fork["reply"]["id"]});
    let note = ada.post(&format!("{conversation}/messages"), &note).await.expect(201);
    assert_eq!(note["message"]["parent_id"], fork["reply"]["id"]);

    let listed = messages(&ada, &conversation).await;
    assert_eq!(contents(&listed), ["First?", &words(2), "Otherwise?", &words(1), "A note"]);
    ask(&ada, &conversation, "Here?", "mock-1-0").await.expect(200);
    assert_eq!(shown(&server), ["First?", &words(2), "Otherwise?", &words(1), "Here?"]);

    // A page at a time, from both ends.
    for order in ["asc", "desc"] {
        let query =
            format!("messages?limit=3&order={order}&branch={}", text(&third["reply"]["id"]));
        let page = ada.get(&format!("{conversation}/{query}")).await.expect(200);
        let cursor = text(&page["next_cursor"]);
        let rest = ada.get(&format!("{conversation}/{query}&cursor={cursor}")).await.expect(200);
        let mut read = [list(&page["data"]), list(&rest["data"])].concat();
        if order == "desc" {
            let last = rest["next_cursor"].as_str().map(str::to_owned);
            assert_eq!(read[0]["content"], words(1));
            let last = ada.get(&format!("{conversation}/{query}&cursor={}", last.unwrap())).await;
            read.extend(list(&last.expect(200)["data"]).to_vec());
            read.reverse();
        }
        assert_eq!(contents(&read[..6]), back[..6]);
    }
}

async fn what_was_only_stored_is_answered_at_last(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let path_of = format!("{conversation}/messages");
    let body = json!({"content": "Anybody?", "reply": false});
    let stored = ada.post(&path_of, &body).await.expect(201);
    let anew = format!("{}/regenerate", path(&conversation, &stored["message"]));

    let turn = ada.post(&anew, &json!({"model": "mock-2-0"})).await.expect(200);

    assert_eq!(turn["message"], stored["message"]);
    let listed = messages(&ada, &conversation).await;
    assert_eq!(listed, [turn["message"].clone(), turn["reply"].clone()]);
    // It went on at the end: there is no branch yet, and what follows names no parent.
    let next = ask(&ada, &conversation, "And?", "mock-1-0").await.expect(200);
    assert_eq!(next["message"]["parent_id"], Value::Null);

    // A reply that was brought from elsewhere answers the question before it.
    let body = json!({"content": "Imported?", "reply": false});
    let question = ada.post(&path_of, &body).await.expect(201);
    let body = json!({"content": "Imported.", "role": "assistant"});
    let reply = ada.post(&path_of, &body).await.expect(201);
    let anew = format!("{}/regenerate", path(&conversation, &reply["message"]));
    let turn = ada.post(&anew, &json!({"model": "mock-1-0"})).await.expect(200);
    assert_eq!(turn["message"]["id"], question["message"]["id"]);
    assert_eq!(turn["message"]["parent_id"], next["reply"]["id"]);
    assert_eq!(shown(&server).last().unwrap(), "Imported?");
}

async fn a_conversation_begins_anew(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, _) = two_turns(&ada).await;

    let body = json!({"content": "Better?", "model": "mock-1-0"});
    let turn = ada.patch(&path(&conversation, &first["message"]), &body).await.expect(200);

    assert_eq!(turn["message"]["parent_id"], Value::Null);
    assert_eq!(shown(&server), ["Better?"]);
    assert_eq!(contents(&messages(&ada, &conversation).await), ["Better?", &words(1)]);
    ask(&ada, &conversation, "And then?", "mock-1-0").await.expect(200);
    assert_eq!(shown(&server), ["Better?", &words(1), "And then?"]);
    let older = branch(&ada, &conversation, text(&first["message"]["id"])).await;
    assert_eq!(contents(&older), ["First?", &words(2), "Second?", &words(1)]);
}

async fn only_what_is_new_is_told(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, second) = two_turns(&ada).await;
    let mut feed = ada.feed(&format!("{conversation}/events"), None).await;

    let anew = format!("{}/regenerate", path(&conversation, &first["reply"]));
    let turn = ada.post(&anew, &json!({"model": "mock-1-0"})).await.expect(200);
    let body = json!({"content": "Rather?", "reply": false});
    let edited = ada.patch(&path(&conversation, &second["message"]), &body).await.expect(201);

    let told = feed.until(|event| event.name == "message.created").await;
    let names = told.iter().map(|event| event.name.as_str());
    let names: Vec<_> = names.filter(|name| *name != "generation.delta").collect();
    assert_eq!(names, ["generation.started", "generation.ended", "message.created"]);
    let started = told[0].json();
    assert_eq!(started["user_message_id"], first["message"]["id"]);
    assert_eq!(started["message_id"], turn["reply"]["id"]);
    assert_eq!(told.last().unwrap().json()["message"], edited["message"]);
}

async fn the_newest_branch_is_what_other_clients_see(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, _) = two_turns(&ada).await;
    let body = json!({"content": "Better?", "model": "mock-1-0"});
    ada.patch(&path(&conversation, &first["message"]), &body).await.expect(200);

    let user = id_of_user(&ada).await;
    let id = id_of(&conversation);
    let again = format!("/api/v1/users/{user}/conversations/{id}/reconnect");
    let again = ada.post(&again, &json!({})).await.expect(200);
    assert_eq!(contents(list(&again["messages"])), ["Better?", &words(1)]);
    let listed = ada.get(&format!("{conversation}/messages/")).await.expect(200);
    assert_eq!(contents(list(&listed["data"])), ["Better?", &words(1)]);
    let body = json!({"message": "Here?", "conversation_id": id});
    ada.post("/api/v1/chat/send", &body).await.expect(200);
    assert_eq!(shown(&server), ["Better?", &words(1), "Here?"]);
}
