//! The measuring side: plain blocking sockets on threads, so that nothing of ours is in the way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

pub struct Bulk {
    pub bytes: u64,
    seconds: f64,
}

impl Bulk {
    pub fn gigabytes_per_sec(&self) -> f64 {
        self.bytes as f64 / self.seconds / 1e9
    }
}

fn dial(address: &str, mode: u8) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("an option");
    stream.write_all(&[mode]).expect("a byte");
    stream
}

fn abort(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("an option");
}

/// Nanoseconds of the machine's monotonic clock: the same in all processes.
pub fn clock() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

pub fn download(address: &str, connections: usize, time: Duration) -> Bulk {
    let barrier = Barrier::new(connections);
    let bulks: Vec<Bulk> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = dial(address, b'b');
                    let mut buffer = vec![0; 256 * 1024];
                    // Windows open before the clock runs.
                    let warm = Instant::now();
                    while warm.elapsed() < time / 5 {
                        let _ = stream.read(&mut buffer).expect("bytes");
                    }
                    barrier.wait();
                    let start = Instant::now();
                    let mut bytes = 0;
                    while start.elapsed() < time {
                        bytes += stream.read(&mut buffer).expect("bytes") as u64;
                    }
                    let seconds = start.elapsed().as_secs_f64();
                    abort(&stream);
                    Bulk { bytes, seconds }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a result")).collect()
    });
    Bulk {
        bytes: bulks.iter().map(|bulk| bulk.bytes).sum(),
        seconds: bulks.iter().map(|bulk| bulk.seconds).sum::<f64>() / connections as f64,
    }
}

/// Round trips of 64 bytes, in microseconds.
pub fn pings(address: &str, count: usize) -> Vec<f64> {
    let mut stream = dial(address, b'e');
    let mut word = [7; 64];
    let mut trips = Vec::with_capacity(count);
    for round in 0..count + count / 10 {
        let start = Instant::now();
        stream.write_all(&word).expect("a write");
        stream.read_exact(&mut word).expect("an answer");
        if round >= count / 10 {
            trips.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    trips
}

/// Connections with one round trip each, a second, on two threads.
pub fn connects(address: &str, time: Duration) -> f64 {
    let count: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let start = Instant::now();
                    let mut count = 0;
                    while start.elapsed() < time {
                        let mut stream = dial(address, b'e');
                        stream.write_all(b"x").expect("a write");
                        stream.read_exact(&mut [0]).expect("an answer");
                        abort(&stream);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a result")).sum()
    });
    count as f64 / time.as_secs_f64()
}

/// The time that so many bytes take, from asking to the last.
pub fn fetch(address: &str, bytes: u64) -> Duration {
    let mut stream = dial(address, b'n');
    let start = Instant::now();
    stream.write_all(&bytes.to_be_bytes()).expect("a write");
    let mut buffer = vec![0; 256 * 1024];
    let mut left = bytes;
    while left > 0 {
        match stream.read(&mut buffer).expect("bytes") {
            0 => panic!("the stream ended {left} bytes early"),
            read => left -= read as u64,
        }
    }
    start.elapsed()
}

/// The age of each message at its arrival, in milliseconds, and how many came out of order.
pub fn messages(address: &str, connections: usize, time: Duration) -> (Vec<f64>, usize) {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = dial(address, b'm');
                    let start = Instant::now();
                    let (mut ages, mut disorder, mut last) = (Vec::new(), 0, 0);
                    let mut word = [0; 8];
                    while start.elapsed() < time {
                        stream.read_exact(&mut word).expect("a message");
                        let (now, sent) = (clock(), u64::from_be_bytes(word));
                        disorder += usize::from(sent < last);
                        last = sent;
                        ages.push((now - sent) as f64 / 1e6);
                    }
                    abort(&stream);
                    // The first few meet cold caches and a growing window.
                    (ages.split_off(20.min(ages.len() / 2)), disorder)
                })
            })
            .collect();
        let mut all = (Vec::new(), 0);
        for thread in threads {
            let (ages, disorder) = thread.join().expect("a result");
            all.0.extend(ages);
            all.1 += disorder;
        }
        all
    })
}

/// Connections that have been used once and then stay idle.
pub fn hold(address: &str, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|_| {
            let mut stream = dial(address, b'e');
            stream.write_all(b"x").expect("a write");
            stream.read_exact(&mut [0]).expect("an answer");
            abort(&stream);
            stream
        })
        .collect()
}
