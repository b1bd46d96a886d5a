//! A fixed number of threads on which passwords are hashed, and a bounded queue before them (PWD-14).
//!
//! Threads of their own, rather than tokio's blocking ones: each takes tens of megabytes while it hashes, so their
//! number is what bounds the memory; and no other blocking work can come before a login.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How much hashing gives way to requests: a tenth of their share where both want the processor.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Why work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// As much is waiting as may wait.
    Busy,
    /// The work broke off, or the pool is gone.
    Stopped,
}

/// The threads and their queue. Dropping it ends the threads once what they are doing is done.
pub(super) struct HashingPool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Tasks that may run or wait at the same time.
    capacity: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Task>>,
    running: usize,
    stopped: bool,
}

/// Work whose result somebody awaits.
trait Task: Send {
    /// Whether nobody awaits it any more.
    fn is_abandoned(&self) -> bool;
    /// Does the work and hands over the result.
    fn run(self: Box<Self>);
}

struct AwaitedTask<W, T> {
    work: W,
    reply: oneshot::Sender<T>,
}

impl<W: FnOnce() -> T + Send, T: Send> Task for AwaitedTask<W, T> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(self: Box<Self>) {
        let Self { work, reply } = *self;
        // Whoever asked may have gone meanwhile; then nobody misses the result.
        let _ = reply.send(work());
    }
}

impl HashingPool {
    /// Starts `threads` threads; `queue` tasks may wait for them.
    pub(super) fn start(threads: usize, queue: usize) -> Result<Self, std::io::Error> {
        let capacity = threads.saturating_add(queue);
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), capacity });
        // Made first, so that the threads that did start end again if one does not.
        let pool = Self { shared };
        for number in 0..threads {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new().name(format!("hashing-{number}")).spawn(move || shared.work())?;
        }
        Ok(pool)
    }

    /// Does `work` on one of the threads, in order of arrival. Dropping the future gives up a place in the queue.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
        let (reply, result) = oneshot::channel();
        self.shared.accept(Box::new(AwaitedTask { work, reply }))?;
        result.await.map_err(|_| Refused::Stopped)
    }

    /// How many wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().waiting.iter().filter(|task| !task.is_abandoned()).count()
    }
}

impl Drop for HashingPool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        state.waiting.clear();
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, task: Box<dyn Task>) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.occupied() >= self.capacity {
            state.waiting.retain(|task| !task.is_abandoned());
        }
        if state.occupied() >= self.capacity {
            return Err(Refused::Busy);
        }
        state.waiting.push_back(task);
        self.changed.notify_one();
        Ok(())
    }

    /// The life of one thread.
    fn work(&self) {
        give_way();
        while let Some(task) = self.next() {
            if !task.is_abandoned() {
                // A panic has been reported by its hook; here it must not cost a thread.
                let _ = catch_unwind(AssertUnwindSafe(|| task.run()));
            }
            self.lock().running -= 1;
        }
    }

    /// Waits for a task; `None` when there will be none.
    fn next(&self) -> Option<Box<dyn Task>> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.stopped;
        let mut state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let task = state.waiting.pop_front()?;
        state.running += 1;
        Some(task)
    }
}

impl State {
    fn occupied(&self) -> usize {
        self.running + self.waiting.len()
    }
}

/// Lets requests go first: a hash takes as long as a hundred of them. On Linux this concerns the calling thread alone;
/// elsewhere it would be the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(cause = %error, "priority of the hashing thread not lowered");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    /// A pool of one thread that is busy until the sender is dropped.
    fn busy_pool(queue: usize) -> (Arc<HashingPool>, mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Refused>>) {
        let pool = Arc::new(HashingPool::start(1, queue).unwrap());
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                pool.run(move || {
                    started.send(()).unwrap();
                    let _ = released.recv();
                })
                .await
            }
        });
        tokio::task::block_in_place(|| has_started.recv_timeout(Duration::from_secs(10)).unwrap());
        (pool, release, running)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn beyond_the_queue_the_answer_is_busy_at_once() {
        let (pool, release, running) = busy_pool(2);
        let (mut first, mut second) = (Box::pin(pool.run(|| 1)), Box::pin(pool.run(|| 2)));
        assert_eq!(first.as_mut().now_or_never(), None);
        assert_eq!(second.as_mut().now_or_never(), None);
        assert_eq!(pool.waiting(), 2);
        assert_eq!(pool.run(|| 3).now_or_never(), Some(Err(Refused::Busy)));
        drop(release);
        assert_eq!((first.await, second.await, running.await.unwrap()), (Ok(1), Ok(2), Ok(())));
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_caller_who_gives_up_frees_the_place_and_costs_no_work() {
        let (pool, release, running) = busy_pool(1);
        let (worked, has_worked) = mpsc::channel::<()>();
        let mut abandoned = Box::pin(pool.run(move || worked.send(()).unwrap()));
        assert_eq!(abandoned.as_mut().now_or_never(), None);
        assert_eq!(pool.run(|| ()).now_or_never(), Some(Err(Refused::Busy)));
        drop(abandoned);
        assert_eq!(pool.waiting(), 0);
        let mut successor = Box::pin(pool.run(|| "done"));
        assert_eq!(successor.as_mut().now_or_never(), None);
        drop(release);
        assert_eq!(successor.await, Ok("done"));
        assert_eq!(running.await.unwrap(), Ok(()));
        assert_eq!(has_worked.recv(), Err(mpsc::RecvError), "abandoned work is not done");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_caller_who_gives_up_while_it_runs_frees_the_thread_when_it_is_done() {
        let (pool, release, running) = busy_pool(1);
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        let mut next = Box::pin(pool.run(|| "done"));
        assert_eq!(next.as_mut().now_or_never(), None);
        assert_eq!(pool.run(|| ()).now_or_never(), Some(Err(Refused::Busy)));
        drop(release);
        assert_eq!(next.await, Ok("done"));
    }

    #[tokio::test]
    async fn no_more_run_at_the_same_time_than_there_are_threads() {
        let pool = HashingPool::start(2, 100).unwrap();
        let running = Arc::new(Mutex::new((0_usize, 0_usize)));
        // None of them is over before another has begun.
        let two = Arc::new(std::sync::Barrier::new(2));
        let tasks = (0..20).map(|_| {
            let (running, two) = (Arc::clone(&running), Arc::clone(&two));
            pool.run(move || {
                let mut counts = running.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
                drop(counts);
                two.wait();
                running.lock().unwrap().0 -= 1;
            })
        });
        let results = futures_util::future::join_all(tasks).await;
        assert!(results.iter().all(|result| *result == Ok(())));
        assert_eq!(running.lock().unwrap().1, 2);
    }

    #[tokio::test]
    async fn work_that_breaks_off_costs_no_thread() {
        let pool = HashingPool::start(1, 1).unwrap();
        let broken: Result<(), _> = pool.run(|| std::panic::resume_unwind(Box::new("broken off"))).await;
        assert_eq!(broken, Err(Refused::Stopped));
        assert_eq!(pool.run(|| "still there").await, Ok("still there"));
    }

    #[tokio::test]
    async fn the_threads_end_with_the_pool() {
        let pool = HashingPool::start(2, 1).unwrap();
        assert_eq!(pool.run(|| ()).await, Ok(()));
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        let ended = tokio::time::timeout(Duration::from_secs(10), async {
            while shared.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert_eq!(ended.await, Ok(()));
    }
}
