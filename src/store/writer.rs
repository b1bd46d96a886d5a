//! SQLite's one writer: a thread that owns the writing connection and commits what waits together.
//!
//! Writers that compete for the lock starve each other; a queue does not, and one `fsync` serves all that wait. Each
//! unit of work has a savepoint of its own, so that one failing undoes nothing of the others.

use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::prelude::*;
use tokio::sync::oneshot;

use super::address::Address;
use super::backend::Db;
use super::error::StoreError;
use super::transaction;

/// Units of work that share one commit at most.
const BATCH: usize = 512;
/// Units of work that may wait; further ones are told that the database is busy.
const QUEUE: usize = 4096;

/// A unit of work, type erased: runs in the open transaction, or is told why it cannot.
type Job = Box<dyn FnOnce(Result<&mut Db, &StoreError>) -> FinishedWork + Send>;

/// Sends a caller the result, once the outcome of the commit is known.
type Reply = Box<dyn FnOnce(&Result<(), StoreError>) + Send>;

/// A unit of work that ran, and waits for the commit.
struct FinishedWork {
    /// Sends the caller the result; takes the outcome of the commit.
    reply: Reply,
    /// Whether the transaction it ran in still stands: a full disk makes SQLite undo all of it.
    transaction_stands: bool,
}

#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub fn start(connection: Db, address: Address, wait: Duration) -> Self {
        let (queue, jobs) = mpsc::sync_channel(QUEUE);
        let mut writing = WriterThread { connection: Some(connection), address, wait };
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || writing.work_through(&jobs))
            .expect("the system can start a thread");
        Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) }
    }

    pub async fn run<T, E>(&self, work: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            let (result, transaction_stands) = match db {
                Ok(db) => in_savepoint(db, work),
                Err(error) => (Err(error.clone().into()), true),
            };
            let reply = Box::new(move |committed: &Result<(), StoreError>| {
                let outcome = result.and_then(|value| committed.clone().map(|()| value).map_err(E::from));
                // A caller that went away does not want to know.
                let _ = sender.send(outcome);
            });
            FinishedWork { reply, transaction_stands }
        });
        self.submit(job)?;
        // The work panicked, and was dropped unanswered.
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a unit of work panicked".into()).into()))
    }

    fn submit(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(StoreError::Unavailable("the store is closed".into())) };
        queue.try_send(job).map_err(|error| match error {
            mpsc::TrySendError::Full(_) => StoreError::Busy("too many writes are waiting".into()),
            mpsc::TrySendError::Disconnected(_) => StoreError::Unavailable("the writer has stopped".into()),
        })
    }

    /// Finishes what waits, then closes the connection.
    pub fn stop(&self) {
        drop(self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("database writer panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The failure of one unit of work, carried through diesel's transaction.
enum WorkError<E> {
    ByWork(E),
    ByDatabase(diesel::result::Error),
}

impl<E> From<diesel::result::Error> for WorkError<E> {
    fn from(error: diesel::result::Error) -> Self {
        Self::ByDatabase(error)
    }
}

/// Runs `work` in a savepoint; also says whether the savepoint could be kept or undone as asked. Where it could not,
/// the transaction around it is gone.
fn in_savepoint<T, E: From<StoreError>>(
    db: &mut Db,
    work: impl FnOnce(&mut Db) -> Result<T, E>,
) -> (Result<T, E>, bool) {
    match db.transaction(|db| work(db).map_err(WorkError::ByWork)) {
        Ok(value) => (Ok(value), true),
        Err(WorkError::ByWork(error)) => (Err(error), true),
        Err(WorkError::ByDatabase(error)) => (Err(StoreError::from(error).into()), false),
    }
}

/// What the writing thread owns.
struct WriterThread {
    /// `None` after a fault, until it can be opened again.
    connection: Option<Db>,
    address: Address,
    wait: Duration,
}

impl WriterThread {
    fn work_through(&mut self, jobs: &mpsc::Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let batch: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(BATCH - 1)).collect();
            if let Err(error) = self.begin() {
                for job in batch {
                    (job(Err(&error)).reply)(&Ok(()));
                }
                continue;
            }
            self.run(batch);
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if self.connection.is_none() {
            let opened = self.address.connect(self.wait).map_err(|error| StoreError::Unavailable(error.to_string()))?;
            self.connection = Some(opened);
        }
        self.connection.as_mut().map_or(Ok(()), transaction::begin)
    }

    fn run(&mut self, batch: Vec<Job>) {
        let Some(mut db) = self.connection.take() else { return };
        let mut done = Vec::with_capacity(batch.len());
        let mut broken = None;
        for job in batch {
            let outcome = match &broken {
                Some(error) => Some(job(Err(error))),
                None => run_one(&mut db, job),
            };
            match outcome {
                Some(one) => {
                    if !one.transaction_stands {
                        broken = Some(StoreError::Unavailable("the database undid the transaction".into()));
                    }
                    done.push(one);
                }
                None => broken = Some(StoreError::Unavailable("a unit of work panicked".into())),
            }
        }
        // A connection in an unknown state is closed, which undoes what it had not committed; the next batch opens another.
        let committed = match broken {
            None => transaction::commit(&mut db),
            Some(error) => Err(error),
        };
        if committed.is_ok() {
            self.connection = Some(db);
        } else {
            drop(db);
        }
        for one in done {
            (one.reply)(&committed);
        }
    }
}

/// `None` where the unit of work panicked: its caller finds the channel closed and is told `Unavailable`.
fn run_one(db: &mut Db, job: Job) -> Option<FinishedWork> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(Ok(db)))).ok()
}
