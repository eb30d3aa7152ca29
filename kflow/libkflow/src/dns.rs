//! DNS answers on their way to the collector: a bounded queue, and a thread that posts what is in it.
//!
//! In: questions with their answers, or bytes that are encoded already. Out: posts of MessagePack maps, one behind the other,
//! each interval or as soon as one is full. A post that fails is tried again with the next interval, and what came meanwhile
//! waits; what the collector refuses for good, or what is left at the stop, is counted and reported.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::msgpack::Writer;

/// Entries and bytes that wait at most.
const ENTRIES_MAX: usize = 100_000;
const BYTES_MAX: usize = 32 << 20;
/// From this size on a post does not wait for the interval.
const POST_BYTES: usize = 1_000_000;

#[derive(Debug)]
pub struct Question {
    pub name: String,
    /// Address of the host that asked, in network order.
    pub host: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    /// In network order.
    pub address: Vec<u8>,
    pub ttl_s: u32,
}

/// `{Question: {Name, Host}, Answers: [{Name, CNAME, IP, TTL}]}`. C tells no names of answers, so they are empty.
///
/// `None` if it is larger than all that may wait.
pub fn encode(question: &Question, answers: &[Answer]) -> Option<Vec<u8>> {
    let bytes = answers.iter().fold(question.name.len() + question.host.len(), |bytes, answer| {
        bytes.saturating_add(answer.address.len()).saturating_add(1)
    });
    if bytes > BYTES_MAX {
        return None;
    }
    let mut writer = Writer::default();
    writer.map(2);
    writer.text("Question");
    writer.map(2);
    writer.text("Name");
    writer.text(&question.name);
    writer.text("Host");
    writer.bytes(&question.host);
    writer.text("Answers");
    writer.array(u32::try_from(answers.len()).ok()?);
    for answer in answers {
        writer.map(4);
        writer.text("Name");
        writer.text("");
        writer.text("CNAME");
        writer.text("");
        writer.text("IP");
        writer.bytes(&answer.address);
        writer.text("TTL");
        writer.number(answer.ttl_s);
    }
    Some(writer.finish())
}

/// What became of a post.
#[derive(Debug)]
pub enum Posted {
    Taken,
    /// Worth another attempt.
    Failed(String),
    /// Never to be taken.
    Refused(String),
}

/// The queue and its thread.
#[derive(Debug)]
pub struct DnsSender {
    shared: Arc<Shared>,
    /// Says how many entries were left behind, when the thread ends.
    ended: Receiver<usize>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Vec<u8>>,
    bytes: usize,
    is_stopping: bool,
}

/// Entries that are posted together.
#[derive(Debug, Default)]
struct Post {
    bytes: Vec<u8>,
    entries: usize,
}

/// The queue is full, or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl DnsSender {
    /// `post` sends bytes and waits for the answer; `report` takes words about what went wrong.
    pub fn start(
        interval: Duration,
        mut post: impl FnMut(&[u8]) -> Posted + Send + 'static,
        report: impl Fn(&str) + Send + 'static,
    ) -> io::Result<DnsSender> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let (tell, ended) = mpsc::channel();
        thread::Builder::new().name("kflow-dns".to_owned()).spawn(move || {
            let left = run(&of_thread, interval, &mut post, &report);
            // Nobody listens any more if the stop did not wait so long.
            let _ = tell.send(left);
        })?;
        Ok(DnsSender { shared, ended })
    }

    /// Takes an entry, unless there is no room for it. Never waits.
    pub fn push(&self, entry: Vec<u8>) -> Result<(), Full> {
        if entry.is_empty() {
            return Ok(());
        }
        let mut queue = self.shared.lock();
        let bytes = queue.bytes.saturating_add(entry.len());
        if queue.is_stopping || queue.entries.len() == ENTRIES_MAX || bytes > BYTES_MAX {
            return Err(Full);
        }
        queue.bytes = bytes;
        queue.entries.push_back(entry);
        if bytes >= POST_BYTES {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Begins to stop: nothing is taken any more, and what is held is posted once.
    pub fn close(&self) {
        self.shared.lock().is_stopping = true;
        self.shared.changed.notify_one();
    }

    /// Waits for the end. Entries that were left behind, or `None` if it takes longer.
    pub fn wait(&self, timeout: Duration) -> Option<usize> {
        self.ended.recv_timeout(timeout).ok()
    }
}

impl Drop for DnsSender {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic leaves the queue as it is: nothing that may panic runs under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is time for a post, and whether it is the last. One that failed is posted again, not before the interval
    /// is over.
    fn wait(&self, interval: Duration, failed: &Post) -> bool {
        let too_early = |queue: &mut Queue| {
            let is_full = queue.bytes >= POST_BYTES && failed.entries == 0;
            !queue.is_stopping && !is_full
        };
        let waited = self.changed.wait_timeout_while(self.lock(), interval, too_early);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_stopping
    }

    /// The next post, of all that waits or as much as goes into one.
    fn take(&self) -> Post {
        let mut queue = self.lock();
        let mut post = Post::default();
        while post.bytes.len() < POST_BYTES {
            let Some(entry) = queue.entries.pop_front() else { break };
            queue.bytes -= entry.len();
            post.bytes.extend_from_slice(&entry);
            post.entries += 1;
        }
        post
    }
}

/// Posts until it is stopped; entries that were left behind.
fn run(
    shared: &Shared,
    interval: Duration,
    send: &mut impl FnMut(&[u8]) -> Posted,
    report: &impl Fn(&str),
) -> usize {
    let mut post = Post::default();
    loop {
        let is_last = shared.wait(interval, &post);
        loop {
            if post.entries == 0 {
                post = shared.take();
            }
            if post.entries == 0 {
                break;
            }
            match send(&post.bytes) {
                Posted::Taken => post = Post::default(),
                Posted::Refused(why) => {
                    report(&format!("{} DNS answers were refused and are lost: {why}", post.entries));
                    post = Post::default();
                }
                Posted::Failed(why) => {
                    report(&format!("{} DNS answers could not be sent yet: {why}", post.entries));
                    break;
                }
            }
            // What came while the post was under way waits for the interval, unless it fills the next one.
            if !is_last && shared.lock().bytes < POST_BYTES {
                break;
            }
        }
        if is_last {
            return post.entries + shared.lock().entries.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test takes: a post then has another reason.
    const NEVER: Duration = Duration::from_secs(3600);
    const LONG: Duration = Duration::from_secs(60);

    fn question() -> Question {
        Question { name: "a.example".into(), host: vec![10, 0, 0, 1] }
    }

    #[test]
    fn an_answer_is_encoded_as_receivers_read_it() {
        let answers = [Answer { address: vec![10, 0, 0, 2], ttl_s: 300 }];
        let mut expected = vec![0x82];
        expected.extend(b"\xa8Question\x82\xa4Name\xa9a.example\xa4Host\xc4\x04\x0a\x00\x00\x01");
        expected.extend(
            b"\xa7Answers\x91\x84\xa4Name\xa0\xa5CNAME\xa0\xa2IP\xc4\x04\x0a\x00\x00\x02\xa3TTL\xcd\x01\x2c",
        );
        assert_eq!(encode(&question(), &answers).unwrap(), expected);
    }

    #[test]
    fn an_answer_larger_than_all_that_may_wait_is_not_encoded() {
        let host = vec![0; BYTES_MAX + 1];
        assert_eq!(encode(&Question { name: String::new(), host }, &[]), None);
    }

    /// A sender whose posts arrive at a channel, which says what becomes of them.
    fn sender(
        interval: Duration,
        mut becomes: impl FnMut(usize) -> Posted + Send + 'static,
    ) -> (DnsSender, Receiver<Vec<u8>>, Receiver<String>) {
        let (posted, posts) = mpsc::channel();
        let (reported, reports) = mpsc::channel();
        let mut number = 0;
        let post = move |bytes: &[u8]| {
            posted.send(bytes.to_vec()).expect("the test listens to the end");
            number += 1;
            becomes(number)
        };
        let report = move |text: &str| reported.send(text.to_owned()).expect("the test listens to the end");
        (DnsSender::start(interval, post, report).expect("a thread can be started"), posts, reports)
    }

    #[test]
    fn what_waits_is_posted_after_the_interval() {
        let (sender, posts, _reports) = sender(Duration::from_millis(10), |_| Posted::Taken);
        sender.push(b"one".to_vec()).unwrap();
        sender.push(b"two".to_vec()).unwrap();
        let mut all = Vec::new();
        while all.len() < 6 {
            all.extend(posts.recv_timeout(LONG).unwrap());
        }
        assert_eq!(all, b"onetwo");
    }

    #[test]
    fn a_full_post_does_not_wait() {
        let (sender, posts, _reports) = sender(NEVER, |_| Posted::Taken);
        sender.push(vec![1; POST_BYTES - 1]).unwrap();
        sender.push(vec![2; 2]).unwrap();
        assert_eq!(posts.recv_timeout(LONG).unwrap().len(), POST_BYTES + 1);
    }

    #[test]
    fn the_rest_is_posted_at_the_stop() {
        let (sender, posts, _reports) = sender(NEVER, |_| Posted::Taken);
        sender.push(b"rest".to_vec()).unwrap();
        sender.close();
        assert_eq!(sender.push(b"late".to_vec()), Err(Full));
        assert_eq!(sender.wait(LONG), Some(0));
        assert_eq!(posts.recv_timeout(LONG).unwrap(), b"rest");
    }

    #[test]
    fn a_post_that_fails_is_tried_again_and_what_is_left_is_counted() {
        let fails_twice = |number| if number < 3 { Posted::Failed("no".into()) } else { Posted::Taken };
        let (first, posts, reports) = sender(Duration::from_millis(10), fails_twice);
        first.push(b"one".to_vec()).unwrap();
        for _ in 0..3 {
            assert_eq!(posts.recv_timeout(LONG).unwrap(), b"one");
        }
        assert_eq!(reports.recv_timeout(LONG).unwrap(), "1 DNS answers could not be sent yet: no");

        let (second, _posts, _reports) = sender(NEVER, |_| Posted::Failed("no".into()));
        second.push(b"one".to_vec()).unwrap();
        second.close();
        assert_eq!(second.wait(LONG), Some(1));
    }

    #[test]
    fn what_is_refused_is_reported_and_makes_room() {
        let (sender, posts, reports) = sender(Duration::from_millis(10), |_| Posted::Refused("bad".into()));
        sender.push(b"one".to_vec()).unwrap();
        assert_eq!(posts.recv_timeout(LONG).unwrap(), b"one");
        assert_eq!(reports.recv_timeout(LONG).unwrap(), "1 DNS answers were refused and are lost: bad");
    }

    #[test]
    fn a_full_queue_takes_no_more_and_does_not_wait() {
        let (begun, begins) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let post = move |_: &[u8]| {
            begun.send(()).expect("the test listens");
            let _ = released.recv();
            Posted::Taken
        };
        let sender = DnsSender::start(NEVER, post, |_| ()).unwrap();
        sender.push(vec![0; POST_BYTES]).unwrap();
        begins.recv_timeout(LONG).unwrap();
        for _ in 0..ENTRIES_MAX {
            sender.push(vec![1]).unwrap();
        }
        assert_eq!(sender.push(vec![1]), Err(Full));
        drop(release);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (sender, _posts, _reports) = sender(NEVER, |_| Posted::Taken);
        assert_eq!(sender.push(vec![0; BYTES_MAX + 1]), Err(Full));
    }
}
