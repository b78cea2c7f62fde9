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

/// What is read or written at once.
const BLOCK: usize = 256 * 1024;

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

/// Steps for so long, after a while in which windows open, and when all others are as far.
fn timed(time: Duration, barrier: &Barrier, mut step: impl FnMut() -> usize) -> Bulk {
    let warm = Instant::now();
    while warm.elapsed() < time / 5 {
        step();
    }
    barrier.wait();
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < time {
        bytes += step() as u64;
    }
    Bulk { bytes, seconds: start.elapsed().as_secs_f64() }
}

/// All of them as one, at the same time.
fn together(bulks: &[Bulk]) -> Bulk {
    Bulk {
        bytes: bulks.iter().map(|bulk| bulk.bytes).sum(),
        seconds: bulks.iter().map(|bulk| bulk.seconds).sum::<f64>() / bulks.len() as f64,
    }
}

pub fn download(address: &str, connections: usize, time: Duration) -> Bulk {
    let barrier = Barrier::new(connections);
    let bulks: Vec<Bulk> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = dial(address, b'b');
                    let mut buffer = vec![0; BLOCK];
                    let bulk = timed(time, &barrier, || stream.read(&mut buffer).expect("bytes"));
                    abort(&stream);
                    bulk
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a result")).collect()
    });
    together(&bulks)
}

/// Bytes in both directions of each connection at once; the sum of both.
pub fn both_ways(address: &str, connections: usize, time: Duration) -> Bulk {
    let barrier = Barrier::new(2 * connections);
    let streams: Vec<TcpStream> = (0..connections).map(|_| dial(address, b'd')).collect();
    let bulks: Vec<Bulk> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for stream in &streams {
            let barrier = &barrier;
            threads.push(scope.spawn(move || {
                let (mut reader, mut buffer) = (stream, vec![0; BLOCK]);
                timed(time, barrier, || reader.read(&mut buffer).expect("bytes"))
            }));
            threads.push(scope.spawn(move || {
                let (mut writer, block) = (stream, vec![2; BLOCK]);
                timed(time, barrier, || writer.write(&block).expect("room"))
            }));
        }
        threads.into_iter().map(|thread| thread.join().expect("a result")).collect()
    });
    streams.iter().for_each(abort);
    together(&bulks)
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

/// Round trips of 64 bytes a second, on so many connections at once.
pub fn trips(address: &str, connections: usize, time: Duration) -> f64 {
    let barrier = Barrier::new(connections);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = dial(address, b'e');
                    let mut word = [7; 64];
                    let mut trip = || {
                        stream.write_all(&word).expect("a write");
                        stream.read_exact(&mut word).expect("an answer");
                    };
                    trip();
                    barrier.wait();
                    let (start, mut count) = (Instant::now(), 0_u32);
                    while start.elapsed() < time {
                        trip();
                        count += 1;
                    }
                    let rate = f64::from(count) / start.elapsed().as_secs_f64();
                    abort(&stream);
                    rate
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a result")).sum()
    })
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

/// Bytes that have come: when, from asking, and how many in all.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub at: f64,
    pub total: u64,
}

/// Asks for so many bytes; each read of them.
pub fn arrivals(address: &str, bytes: u64) -> Vec<Arrival> {
    let mut stream = dial(address, b'n');
    let start = Instant::now();
    stream.write_all(&bytes.to_be_bytes()).expect("a write");
    let (mut buffer, mut arrivals, mut total) = (vec![0; BLOCK], Vec::new(), 0);
    while total < bytes {
        match stream.read(&mut buffer).expect("bytes") {
            0 => panic!("the stream ended {} bytes early", bytes - total),
            read => total += read as u64,
        }
        arrivals.push(Arrival { at: start.elapsed().as_secs_f64(), total });
    }
    arrivals
}

/// The time that so many bytes take, from asking to the last.
pub fn fetch(address: &str, bytes: u64) -> Duration {
    let last = arrivals(address, bytes).last().map_or(0.0, |last| last.at);
    Duration::from_secs_f64(last)
}

/// What has come of messages that are sent at a steady rate.
pub struct Messages {
    /// Of each connection, the age of each message at its arrival, in milliseconds and in their order.
    pub ages: Vec<Vec<f64>>,
    /// How many came after one that was sent later.
    pub disorder: usize,
}

/// Messages for so long, on each connection one in each `beat` (less than 256 ms), those of one between those of the others.
pub fn messages(address: &str, connections: usize, beat: Duration, time: Duration) -> Messages {
    let beat = u8::try_from(beat.as_millis()).expect("a beat of less than 256 ms");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|which| {
                let share = u8::try_from(which * 256 / connections).expect("less than one");
                scope.spawn(move || {
                    let mut stream = dial(address, b'm');
                    stream.write_all(&[beat, share]).expect("two bytes");
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
                    (ages, disorder)
                })
            })
            .collect();
        let mut all = Messages { ages: Vec::new(), disorder: 0 };
        for thread in threads {
            let (ages, disorder) = thread.join().expect("a result");
            all.ages.push(ages);
            all.disorder += disorder;
        }
        all
    })
}

/// Asks for an echo of so many bytes on each connection, one after another.
pub fn burst(held: &mut [TcpStream], bytes: usize) {
    let (block, mut echo) = (vec![3; bytes], vec![0; bytes]);
    for stream in held {
        stream.write_all(&block).expect("a write");
        stream.read_exact(&mut echo).expect("an answer");
    }
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
