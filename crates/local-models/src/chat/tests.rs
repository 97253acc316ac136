use std::{
    sync::{Mutex, mpsc as std_mpsc},
    thread,
};

use futures::{FutureExt, StreamExt};
use repartee_application::ports::ChatChunk;
use repartee_domain::replies::FinishReason;

use super::{
    engine::{Session, Weights},
    template::Template,
    vocabulary::tests::{IM_END, byte_vocabulary},
    *,
};

const TEMPLATE: &str = "<|im_start|>{{ messages[1]['content'] }}<|im_end|>";

/// A network that says what it is told to, after each `go` one step.
struct Scripted {
    reply: Vec<u32>,
    /// Hears how many tokens each step reads.
    reads: std_mpsc::Sender<usize>,
    /// A step waits for one of these. When the other end is gone, no more.
    go: Arc<Mutex<std_mpsc::Receiver<()>>>,
}

impl Weights for Scripted {
    fn session(&self) -> Box<dyn Session> {
        let reply = self.reply.clone().into_iter();
        Box::new(ScriptedSession { reply, reads: self.reads.clone(), go: Arc::clone(&self.go) })
    }
}

struct ScriptedSession {
    reply: std::vec::IntoIter<u32>,
    reads: std_mpsc::Sender<usize>,
    go: Arc<Mutex<std_mpsc::Receiver<()>>>,
}

impl Session for ScriptedSession {
    fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
        let _ = self.reads.send(tokens.len());
        let _ = self.go.lock().unwrap().recv();
        let mut logits = vec![-50.0; 258];
        // A prompt of several pieces has one answer.
        if tokens.len() < 128 {
            let next = self.reply.next().expect("the script goes on");
            logits[next as usize] = 50.0;
        }
        Ok(logits)
    }
}

struct Fixture {
    model: LocalChatModel,
    reads: std_mpsc::Receiver<usize>,
    /// Dropped where nothing is held up.
    go: Option<std_mpsc::Sender<()>>,
}

impl Fixture {
    /// One reply at a time, two may wait.
    fn replying(text: &str) -> Self {
        Self::with_script(text.bytes().map(u32::from).chain([IM_END]).collect())
    }

    fn with_script(reply: Vec<u32>) -> Self {
        let (heard, reads) = std_mpsc::channel();
        let (go, steps) = std_mpsc::channel();
        let go_on = Arc::new(Mutex::new(steps));
        let model = LocalChatModel::start_with(1, 2, on_a_thread, move || {
            Ok(Engine {
                template: Template::parse(TEMPLATE.to_owned()).unwrap(),
                vocabulary: byte_vocabulary(),
                weights: Box::new(Scripted { reply, reads: heard, go: go_on }),
            })
        });
        Self { model, reads, go: Some(go) }
    }

    async fn ask(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.model.stream(request).await
    }

    fn step(&self) {
        self.go.as_ref().unwrap().send(()).unwrap();
    }

    fn run_freely(&mut self) {
        self.go = None;
    }
}

fn on_a_thread(job: Job) {
    thread::spawn(job);
}

fn request(content: &str) -> ChatRequest {
    ChatRequest {
        model: MODEL_NAME.to_owned(),
        turns: vec![Turn { role: MessageRole::User, content: content.to_owned() }],
        temperature: Some(0.0),
        max_tokens: None,
        passed: None,
    }
}

async fn all(stream: ChatStream) -> Vec<ChatChunk> {
    stream.map(Result::unwrap).collect().await
}

fn text(chunk: &str) -> ChatChunk {
    ChatChunk::Text(chunk.to_owned())
}

#[tokio::test]
async fn a_reply_comes_in_whole_characters_and_then_ends() {
    let mut fixture = Fixture::replying("a👍");
    fixture.run_freely();

    let chunks = all(fixture.ask(request("Hi")).await.unwrap()).await;

    assert_eq!(
        chunks,
        [
            text("a"),
            text("👍"),
            ChatChunk::Finished(FinishReason::Stop),
            ChatChunk::Usage { prompt_tokens: 4, completion_tokens: 5 },
        ]
    );
    assert_eq!(fixture.model.status(), ModelStatus::Ready);
}

#[tokio::test]
async fn a_conversation_keeps_the_system_message_that_it_has() {
    let mut fixture = Fixture::replying("a");
    fixture.run_freely();
    let mut request = request("Hi");
    let content = "Be brief.".to_owned();
    request.turns.insert(0, Turn { role: MessageRole::System, content });

    let chunks = all(fixture.ask(request).await.unwrap()).await;

    assert_eq!(chunks[2], ChatChunk::Usage { prompt_tokens: 4, completion_tokens: 1 });
}

#[tokio::test]
async fn a_conversation_that_the_template_does_not_take_is_rejected() {
    let fixture = Fixture::replying("");
    let nothing = ChatRequest { turns: Vec::new(), ..request("") };

    assert!(matches!(fixture.ask(nothing).await, Err(ModelError::Rejected { .. })));
}

#[tokio::test]
async fn a_reply_that_reaches_its_limit_says_so() {
    let mut fixture = Fixture::replying("abc");
    fixture.run_freely();

    let limited = ChatRequest { max_tokens: Some(2), ..request("Hi") };
    let chunks = all(fixture.ask(limited).await.unwrap()).await;

    assert_eq!(
        chunks,
        [
            text("a"),
            text("b"),
            ChatChunk::Finished(FinishReason::Length),
            ChatChunk::Usage { prompt_tokens: 4, completion_tokens: 2 },
        ]
    );
}

#[tokio::test]
async fn a_reply_ends_where_the_context_does() {
    let mut fixture = Fixture::replying("abc");
    fixture.run_freely();

    // With its two control tokens one short of the whole context.
    let chunks = all(fixture.ask(request(&"x".repeat(4093))).await.unwrap()).await;

    assert_eq!(chunks[..2], [text("a"), ChatChunk::Finished(FinishReason::Length)]);
}

#[tokio::test]
async fn a_conversation_without_room_for_a_reply_is_rejected() {
    let fixture = Fixture::replying("");

    let error = fixture.ask(request(&"x".repeat(4094))).await.err().unwrap();

    let ModelError::Rejected { reason } = error else { panic!("{error:?}") };
    assert_eq!(reason, "the conversation has 4096 tokens, the model takes 1 to 4095 and its reply");
}

#[tokio::test]
async fn those_who_wait_are_told_where_they_are() {
    let mut fixture = Fixture::replying("a");
    let first = fixture.ask(request("1")).await.unwrap();
    let mut second = fixture.ask(request("2")).await.unwrap();
    let mut third = fixture.ask(request("3")).await.unwrap();
    assert_eq!(second.next().await.unwrap().unwrap(), ChatChunk::Queued { position: 1 });
    assert_eq!(third.next().await.unwrap().unwrap(), ChatChunk::Queued { position: 2 });
    assert!(third.next().now_or_never().is_none());

    drop(second);
    assert_eq!(third.next().await.unwrap().unwrap(), ChatChunk::Queued { position: 1 });
    fixture.run_freely();

    assert_eq!(all(first).await[0], text("a"));
    assert_eq!(all(third).await[0], text("a"));
}

#[tokio::test]
async fn a_full_queue_asks_to_come_back() {
    let fixture = Fixture::replying("a");
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(fixture.ask(request("Hi")).await.unwrap());
    }

    let error = fixture.ask(request("Hi")).await.err().unwrap();

    assert!(matches!(error, ModelError::Unavailable { retry_after: Some(_), .. }));
}

#[tokio::test]
async fn dropping_the_stream_stops_the_reply_after_the_token_it_is_at() {
    let mut fixture = Fixture::replying("abcdef");
    let abandoned = fixture.ask(request("Hi")).await.unwrap();
    assert_eq!(fixture.reads.recv(), Ok(4));

    drop(abandoned);
    fixture.step();

    // The next to be read is the next reply's prompt.
    let next = fixture.ask(request("Hello")).await.unwrap();
    assert_eq!(fixture.reads.recv(), Ok(7));
    fixture.run_freely();
    assert_eq!(all(next).await[0], text("a"));
}

#[tokio::test]
async fn dropping_the_stream_stops_the_reading_of_a_long_prompt() {
    let fixture = Fixture::replying("abc");
    let abandoned = fixture.ask(request(&"x".repeat(1_000))).await.unwrap();
    assert_eq!(fixture.reads.recv(), Ok(128));

    drop(abandoned);
    fixture.step();

    let _next = fixture.ask(request("Hi")).await.unwrap();
    assert_eq!(fixture.reads.recv(), Ok(4));
}

#[tokio::test]
async fn a_panic_breaks_off_one_reply_and_no_more() {
    // The script ends before the reply does.
    let mut fixture = Fixture::with_script(vec![u32::from(b'a')]);
    fixture.run_freely();

    for _ in 0..2 {
        let mut stream = fixture.ask(request("Hi")).await.unwrap();
        // The place of the reply before may be freed a moment after its end was read.
        let mut first = stream.next().await.unwrap().unwrap();
        while matches!(first, ChatChunk::Queued { .. }) {
            first = stream.next().await.unwrap().unwrap();
        }
        assert_eq!(first, text("a"));
        assert!(matches!(stream.next().await, Some(Err(ModelError::Broken(_)))));
        assert!(stream.next().await.is_none());
    }

    assert_eq!(fixture.model.status(), ModelStatus::Degraded);
}

#[tokio::test]
async fn requests_wait_for_a_model_that_is_being_loaded() {
    let (fail, load) = std_mpsc::channel();
    let model = LocalChatModel::start_with(1, 2, on_a_thread, move || Err(load.recv().unwrap()));
    let mut request = model.stream(request("Hi"));
    assert!((&mut request).now_or_never().is_none());
    assert_eq!(model.status(), ModelStatus::Degraded);

    fail.send(LoadError::Missing).unwrap();

    assert!(matches!(request.await, Err(ModelError::NotInstalled { .. })));
    assert_eq!(model.status(), ModelStatus::Unavailable);
}

#[tokio::test]
async fn a_file_that_is_no_model_makes_it_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    for content in [None, Some(&b""[..]), Some(b"GGUF\x03\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")] {
        let path = folder.path().join("model.gguf");
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let settings = LocalModelSettings { path, concurrency: 1, queue_limit: 1 };
        let model = LocalChatModel::start(settings);

        let error = model.stream(request("Hi")).await.err().unwrap();

        assert!(matches!(error, ModelError::NotInstalled { .. }), "{error:?}");
        assert_eq!(model.status(), ModelStatus::Unavailable);
    }
}

#[tokio::test]
async fn another_name_is_another_model() {
    let model = Fixture::replying("").model;
    let request = ChatRequest { model: "gpt".to_owned(), ..request("Hi") };

    assert!(matches!(model.stream(request).await, Err(ModelError::Rejected { .. })));
    assert!(matches!(model.count_tokens("gpt", vec![]).await, Err(ModelError::Rejected { .. })));
    assert_eq!(model.models().await.unwrap(), [MODEL_NAME]);
}

#[tokio::test]
async fn what_it_has_no_use_for_is_refused_by_its_name() {
    let model = Fixture::replying("").model;
    let ask = async |field: Option<&'static str>, has_more_than_text| {
        let fields = field.map(|field| (field, "1".to_owned())).into_iter().collect();
        let passed = PassedThrough { messages: "[]".to_owned(), has_more_than_text, fields };
        let request = ChatRequest { passed: Some(passed.into()), ..request("Hi") };
        match model.stream(request).await {
            Err(ModelError::Unsupported { parameter }) => Some(parameter),
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        }
    };

    for field in ["tools", "response_format", "stop", "seed"] {
        assert_eq!(ask(Some(field), false).await, Some(field));
    }
    assert_eq!(ask(None, true).await, Some("messages"));
    assert_eq!(ask(Some("user"), false).await, None, "who asks changes nothing");
}

#[tokio::test]
async fn texts_of_any_length_are_counted() {
    let model = Fixture::replying("").model;

    let counts = model.count_tokens(MODEL_NAME, vec![String::new(), "é".repeat(5_000)]).await;

    assert_eq!(counts.unwrap(), [0, 10_000]);
}
