//! Asks the databases of many jobs at the same time, and waits for none of them for long.
//!
//! Invariant: a database that does not answer is trouble of its own jobs alone.
//! Bounds: [`TIME_MAX`] for all answers together, [`JOBS_AT_ONCE`] jobs of one database.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::problem::Problem;

/// How long a list waits; a session alone may take 3 s, and [`super::state::ANSWER_TIME_MAX`] its answer.
const TIME_MAX: Duration = Duration::from_secs(8);
/// Sessions of one database that a list takes, so that some are left for others.
const JOBS_AT_ONCE: usize = 4;

/// A database, as those see it who ask for its jobs.
struct Database {
    room: Semaphore,
    /// Why it cannot be asked, once one has found out: the others need not.
    gone: OnceLock<Problem>,
}

/// Asks all; the answers are in the order of the questions, each of which is of a database.
pub(super) async fn ask_all<T, Q>(questions: Vec<(&str, Q)>) -> Vec<Result<T, Problem>>
where
    T: Send + 'static,
    Q: Future<Output = Result<T, Problem>> + Send + 'static,
{
    ask_within(TIME_MAX, questions).await
}

async fn ask_within<T, Q>(time: Duration, questions: Vec<(&str, Q)>) -> Vec<Result<T, Problem>>
where
    T: Send + 'static,
    Q: Future<Output = Result<T, Problem>> + Send + 'static,
{
    let deadline = Instant::now() + time;
    let mut databases: HashMap<&str, Arc<Database>> = HashMap::new();
    // One whose task panics has no other answer; the hook has logged the place.
    let mut answers: Vec<Result<T, Problem>> =
        questions.iter().map(|_| Err(Problem::unexpected())).collect();
    let mut asking = JoinSet::new();
    for (index, (database, question)) in questions.into_iter().enumerate() {
        let database = Arc::clone(databases.entry(database).or_insert_with(Database::shared));
        asking.spawn(async move {
            let answered = timeout_at(deadline, database.answer(question)).await;
            let answer = answered.unwrap_or_else(|_| {
                tracing::warn!("a list does not wait any longer for the database of a job");
                Err(Problem::silent())
            });
            (index, answer)
        });
    }
    while let Some(asked) = asking.join_next().await {
        if let Ok((index, answer)) = asked {
            answers[index] = answer;
        }
    }
    answers
}

impl Database {
    fn shared() -> Arc<Self> {
        Arc::new(Self { room: Semaphore::new(JOBS_AT_ONCE), gone: OnceLock::new() })
    }

    async fn answer<T>(
        &self,
        question: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        // Nobody closes it, so that this is room.
        let _room = self.room.acquire().await;
        if let Some(problem) = self.gone.get() {
            return Err(problem.clone());
        }
        let answer = question.await;
        if let Err(problem) = &answer
            && problem.is_of_whole_database()
        {
            // Another one may have said so at the same time.
            let _ = self.gone.set(problem.clone());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const SOON: Duration = Duration::from_millis(200);
    const NEVER: Duration = Duration::from_hours(1);

    /// Answers after some time.
    async fn answer_after(time: Duration, answer: u32) -> Result<u32, Problem> {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        Ok(answer)
    }

    fn codes(answers: Vec<Result<u32, Problem>>) -> Vec<Result<u32, &'static str>> {
        answers.into_iter().map(|answer| answer.map_err(|problem| problem.code())).collect()
    }

    #[tokio::test]
    async fn a_silent_database_holds_up_no_other() {
        let mut questions = Vec::new();
        for job in 0..10 {
            questions.push(("silent", answer_after(NEVER, job)));
            questions.push(("sound", answer_after(Duration::ZERO, job)));
        }
        let began = Instant::now();
        let answers = codes(ask_within(SOON, questions).await);
        assert!(began.elapsed() < 10 * SOON, "one after the other: {:?}", began.elapsed());
        for (index, answer) in (0..).zip(answers) {
            let expected = if index % 2 == 0 { Err("timed_out") } else { Ok(index / 2) };
            assert_eq!(answer, expected, "{index}");
        }
    }

    #[tokio::test]
    async fn a_database_that_is_gone_is_not_asked_for_each_of_its_jobs() {
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let asked = Arc::clone(&asked);
            async move {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err::<u32, Problem>(Problem::no_session())
            }
        };
        let questions = (0..100).map(|_| ("gone", ask())).collect();
        let answers = codes(ask_within(NEVER, questions).await);
        assert_eq!(answers, vec![Err("database_unreachable"); 100]);
        assert!(asked.load(Ordering::Relaxed) <= JOBS_AT_ONCE, "{asked:?}");
    }

    #[tokio::test]
    async fn what_is_wrong_with_one_job_is_not_said_of_another() {
        let ask =
            |job: u32| async move { if job == 1 { Err(Problem::unexpected()) } else { Ok(job) } };
        let questions = (0..3).map(|job| ("sound", ask(job))).collect();
        let answers = codes(ask_within(NEVER, questions).await);
        assert_eq!(answers, [Ok(0), Err("unexpected"), Ok(2)]);
    }
}
