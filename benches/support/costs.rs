//! What the machine spent on a measurement, to tell what limits it: processor time of each party, and the disk's `fsync`.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{median, microseconds};

/// Ticks in a second: what Linux tells processor times in, on every machine.
const TICKS: f64 = 100.0;

/// Processor time of some processes over a while. Knows Linux; elsewhere it finds nothing to count.
pub struct Meter {
    parties: Vec<(&'static str, Vec<u32>)>,
    began: Instant,
    at_first: Vec<f64>,
    all_at_first: f64,
}

impl Meter {
    /// Starts counting: each party is named, and counted with the children of its processes (but for this process, whose
    /// children are parties of their own).
    pub fn start(parties: &[(&'static str, &[u32])]) -> Self {
        let parties: Vec<_> = parties.iter().map(|(name, roots)| (*name, roots.to_vec())).collect();
        let at_first = parties.iter().map(|(_, roots)| spent(roots)).collect();
        Self { parties, began: Instant::now(), at_first, all_at_first: spent_by_all() }
    }

    /// Cores that each party kept busy since the start, by name.
    pub fn cores(&self) -> Vec<(&'static str, f64)> {
        let seconds = self.began.elapsed().as_secs_f64();
        let parties = self.parties.iter().zip(&self.at_first);
        parties.map(|((name, roots), first)| (*name, (spent(roots) - first) / seconds)).collect()
    }

    /// Cores that were busy with anything at all.
    pub fn busy(&self) -> f64 {
        (spent_by_all() - self.all_at_first) / self.began.elapsed().as_secs_f64()
    }

    /// The same in words.
    pub fn tell(&self) -> String {
        let cores = self.cores();
        let words: Vec<_> = cores.iter().map(|(name, cores)| format!("{name} {cores:.2}")).collect();
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        format!("{:.2} of {all} cores busy: {}", self.busy(), words.join(", "))
    }
}

/// Seconds of processor time that the whole machine has spent, but for idling and waiting for the disk.
fn spent_by_all() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8).map(|field| field.parse().unwrap_or(0.0)).enumerate();
    // The fourth is idling, the fifth waiting.
    let ticks: f64 = ticks.filter(|(place, _)| !matches!(place, 3 | 4)).map(|(_, ticks): (_, f64)| ticks).sum();
    ticks / TICKS
}

/// Seconds of processor time that these processes and their children have had.
fn spent(roots: &[u32]) -> f64 {
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0.0 };
    let processes = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of = |process| {
        let (parent, own) = read(process)?;
        let descends = roots.contains(&parent) && parent != std::process::id();
        (roots.contains(&process) || descends).then_some(own)
    };
    processes.filter_map(of).sum()
}

/// The parent of a process, and the seconds of processor time it has had itself.
fn read(process: u32) -> Option<(u32, f64)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some((fields.get(1)?.parse().ok()?, ticks / TICKS))
}

/// How long the disk under a directory takes to keep 8 KiB, in microseconds.
pub fn fsync(directory: &Path) -> f64 {
    let path = directory.join("fsync");
    let mut file = std::fs::File::create(&path).expect("a file");
    let mut once = || {
        let began = Instant::now();
        file.write_all(&[7; 8192]).and_then(|()| file.sync_data()).expect("it is kept");
        microseconds(began.elapsed())
    };
    let took = median((0..50).map(|_| once()).collect());
    std::fs::remove_file(path).expect("it goes");
    took
}

/// Memory that this process occupies, in bytes.
pub fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux tells");
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).expect("a line");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") * 1024.0
}

/// Forgets how much memory a process has occupied at most; returns how much it occupies now, in MiB.
pub fn forget_peak(process: u32) -> f64 {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").expect("Linux forgets");
    memory(process, "VmRSS:")
}

/// The most that it has occupied since, in MiB.
pub fn peak(process: u32) -> f64 {
    memory(process, "VmHWM:")
}

fn memory(process: u32, name: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux tells");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
}

/// Lets `step` run again and again for a while; returns how often it did.
pub async fn repeatedly(duration: Duration, mut step: impl AsyncFnMut() -> bool) -> u64 {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < duration && step().await {
        done += 1;
    }
    done
}
