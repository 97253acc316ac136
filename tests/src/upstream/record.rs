//! What came in and what became of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

/// Counts since the start, or since the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests to `/v1`, the refused ones included.
    pub requests: u64,
    /// Replies under way.
    pub open: u64,
    pub max_open: u64,
    /// Replies that went as scripted, a scripted cut or error included.
    pub finished: u64,
    /// Replies that the client left before their end.
    pub aborted: u64,
}

/// One request for a completion.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The `Authorization` header as it came.
    pub authorization: Option<String>,
    /// Null where it was no JSON.
    pub body: Value,
}

impl RecordedRequest {
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// A top-level parameter, such as `temperature`; null where there is none.
    pub fn param(&self, name: &str) -> &Value {
        &self.body[name]
    }
}

#[derive(Debug, Default)]
pub(super) struct Record {
    requests: AtomicU64,
    open: AtomicU64,
    max_open: AtomicU64,
    finished: AtomicU64,
    aborted: AtomicU64,
    changed: Notify,
    keeping: usize,
    kept: Mutex<VecDeque<(Option<String>, Bytes)>>,
    calls: Mutex<HashMap<String, u64>>,
}

impl Record {
    pub(super) fn keeping(keeping: usize) -> Self {
        Self { keeping, ..Self::default() }
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Relaxed);
        self.changed.notify_waiters();
    }

    /// Keeps the bytes; they are read when a test asks, so that nobody else pays for it.
    pub(super) fn keep(&self, authorization: Option<&str>, body: &Bytes) {
        if self.keeping == 0 {
            return;
        }
        let mut kept = locked(&self.kept);
        if kept.len() == self.keeping {
            kept.pop_front();
        }
        kept.push_back((authorization.map(str::to_owned), body.clone()));
    }

    /// Counts one more call of `model` and tells which it is, from 1 on.
    pub(super) fn call(&self, model: &str) -> u64 {
        let mut calls = locked(&self.calls);
        let count = calls.entry(model.to_owned()).or_default();
        *count += 1;
        *count
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            requests: self.requests.load(Relaxed),
            open: self.open.load(Relaxed),
            max_open: self.max_open.load(Relaxed),
            finished: self.finished.load(Relaxed),
            aborted: self.aborted.load(Relaxed),
        }
    }

    pub(super) fn requests(&self) -> Vec<RecordedRequest> {
        let kept = locked(&self.kept).clone();
        kept.into_iter()
            .map(|(authorization, body)| RecordedRequest {
                authorization,
                body: serde_json::from_slice(&body).unwrap_or_default(),
            })
            .collect()
    }

    pub(super) fn reset(&self) {
        for count in [&self.requests, &self.finished, &self.aborted] {
            count.store(0, Relaxed);
        }
        self.max_open.store(self.open.load(Relaxed), Relaxed);
        locked(&self.kept).clear();
        locked(&self.calls).clear();
    }

    pub(super) async fn reaches(&self, wanted: impl Fn(&Stats) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listening before looking: a change in between would be slept through.
            changed.as_mut().enable();
            if wanted(&self.stats()) {
                return;
            }
            changed.await;
        }
    }
}

/// A reply that counts as open until it is dropped.
#[derive(Debug)]
pub(super) struct OpenReply {
    record: Arc<Record>,
    finished: bool,
}

impl OpenReply {
    pub(super) fn new(record: &Arc<Record>) -> Self {
        let open = record.open.fetch_add(1, Relaxed) + 1;
        record.max_open.fetch_max(open, Relaxed);
        record.changed.notify_waiters();
        Self { record: Arc::clone(record), finished: false }
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for OpenReply {
    fn drop(&mut self) {
        let ended = if self.finished { &self.record.finished } else { &self.record.aborted };
        ended.fetch_add(1, Relaxed);
        self.record.open.fetch_sub(1, Relaxed);
        self.record.changed.notify_waiters();
    }
}

/// A panic elsewhere leaves these maps whole.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
