//! A limit for who is asked, and not for this process.

use std::{pin::pin, time::Duration};

use futures::FutureExt;
use tokio::{
    task::yield_now,
    time::{error::Elapsed, timeout},
};

/// As [`timeout`], but looks once more when the time is over. A process that stood still for longer
/// than `limit` finds its timer and the answer ready at the same time, and the task that reads the
/// answer may be behind this one.
pub(crate) async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let mut asked = pin!(asked);
    match timeout(limit, asked.as_mut()).await {
        Ok(answer) => Ok(answer),
        Err(elapsed) => {
            yield_now().await;
            asked.now_or_never().ok_or(elapsed)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{sync::oneshot, task::JoinSet, time::sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_there_when_the_time_is_over_is_taken() {
        let (answer, answered) = oneshot::channel();
        let _other = JoinSet::from_iter([async move {
            sleep(LIMIT).await;
            answer.send("just now")
        }]);
        assert_eq!(within(LIMIT, answered).await, Ok(Ok("just now")));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_there_is_not_waited_for() {
        assert!(within(LIMIT, pending::<()>()).await.is_err());
    }
}
