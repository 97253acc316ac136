//! How fast the real model is on this machine, which should have nothing else to do:
//! `cargo bench -p repartee-local-models`

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made has nothing to say")]
#![expect(clippy::print_stdout, reason = "what it measures is for whoever runs it")]

use std::{fs, path::Path, time::Instant};

use futures::{StreamExt, future::join_all};
use repartee_application::ports::{ChatChunk, ChatModel, ChatRequest};
use repartee_domain::{messages::MessageRole, replies::Turn};
use repartee_local_models::{LocalChatModel, LocalModelSettings, MODEL_NAME};

/// Seconds of processor time that this process has used.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let lines =
        status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines.collect::<Vec<_>>().join(" ").replace('\t', " ")
}

/// Tokens read, seconds to the first word, tokens written, seconds from then on.
async fn ask(model: &LocalChatModel, content: &str, max_tokens: u32) -> (u32, f64, u32, f64) {
    let started = Instant::now();
    let request = ChatRequest {
        model: MODEL_NAME.to_owned(),
        turns: vec![Turn { role: MessageRole::User, content: content.to_owned() }],
        temperature: None,
        max_tokens: Some(max_tokens),
        passed: None,
    };
    let mut stream = model.stream(request).await.unwrap();
    let (mut first, mut usage) = (None, (0, 0));
    while let Some(chunk) = stream.next().await {
        match chunk.unwrap() {
            ChatChunk::Text(_) => {
                first.get_or_insert_with(|| started.elapsed().as_secs_f64());
            }
            ChatChunk::Usage { prompt_tokens, completion_tokens } => {
                usage = (prompt_tokens, completion_tokens);
            }
            ChatChunk::Queued { .. } | ChatChunk::Fields(_) | ChatChunk::Finished(_) => {}
        }
    }
    let first = first.unwrap_or_default();
    (usage.0, first, usage.1, started.elapsed().as_secs_f64() - first)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/models"));
    let started = Instant::now();
    let model = LocalChatModel::start(LocalModelSettings::in_folder(folder));
    println!("start returns after {:?}", started.elapsed());
    model.count_tokens(MODEL_NAME, vec![]).await.unwrap();
    println!("loaded after {:?}; {}", started.elapsed(), memory());

    let story = "Tell me a long story about a dog and a cat.";
    for content in [story, story, &"The dog saw the cat. ".repeat(100)] {
        let (wall, processor) = (Instant::now(), processor_seconds());
        let (read, first, written, rest) = ask(&model, content, 256).await;
        println!(
            "{read} tokens read in {first:.2} s; {written} written, {:.1} a second; {:.2} cores",
            f64::from(written.max(1) - 1) / rest,
            (processor_seconds() - processor) / wall.elapsed().as_secs_f64(),
        );
    }
    for count in [2, 4] {
        let started = Instant::now();
        let replies = join_all((0..count).map(|_| ask(&model, story, 96))).await;
        let written: u32 = replies.iter().map(|reply| reply.2).sum();
        let seconds = started.elapsed().as_secs_f64();
        println!("{count} at once: {:.1} tokens a second together", f64::from(written) / seconds);
    }
    println!("{}", memory());
}
