//! A question and its reply, from sending to reading it again.

mod branches;
mod cancel;
mod disconnect;
mod event_source;
mod failures;
mod feedback;
mod framing;
mod prompt;
mod refusals;
mod resume;
mod whole;
