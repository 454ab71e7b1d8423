//! interim
use crate::error::Result;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::*};
pub struct Team {
    size: usize,
}
#[derive(Clone, Copy)]
pub struct Member<'t> {
    index: usize,
    size: usize,
    barrier: &'t Bar,
}
struct Bar {
    count: AtomicUsize,
    gen_: AtomicUsize,
}
impl Team {
    pub fn new(members: usize) -> Result<Team> {
        Ok(Team { size: members })
    }
    pub fn size(&self) -> usize {
        self.size
    }
    pub fn run(&self, body: impl Fn(Member<'_>) + Sync) {
        let bar = Bar {
            count: AtomicUsize::new(0),
            gen_: AtomicUsize::new(0),
        };
        let m = |i| Member {
            index: i,
            size: self.size,
            barrier: &bar,
        };
        if self.size == 1 {
            body(m(0));
            return;
        }
        std::thread::scope(|s| {
            for i in 1..self.size {
                let b = &body;
                let mm = m(i);
                s.spawn(move || b(mm));
            }
            body(m(0));
        });
    }
}
impl Member<'_> {
    pub fn index(&self) -> usize {
        self.index
    }
    pub fn size(&self) -> usize {
        self.size
    }
    pub fn barrier(&self) {
        let g = self.barrier.gen_.load(Acquire);
        if self.barrier.count.fetch_add(1, AcqRel) + 1 == self.size {
            self.barrier.count.store(0, Release);
            self.barrier.gen_.store(g + 1, Release);
        } else {
            while self.barrier.gen_.load(Acquire) == g {
                std::thread::yield_now();
            }
        }
    }
    pub fn share(&self, count: usize) -> Range<usize> {
        self.index * count / self.size..(self.index + 1) * count / self.size
    }
}
