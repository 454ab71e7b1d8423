//! Training steps where threads are not equal: one at half the speed of the other, and more threads than cores.
//!
//! Two threads of speeds 1 and 1/2 do the work of 1.5, so they take at least 4/3 of the time of two equal ones.

use std::time::Duration;

use chainrule::backend::{Fused, ProductPrecision};
use chainrule::bench::steps::{self, BenchNetwork, Pixels};
use chainrule::bench::timing::{Repeats, median};

/// Rounds in which every kind of team is measured once.
const ROUNDS: usize = 9;

const REPEATS: Repeats = Repeats {
    count: 7,
    duration: Duration::from_millis(40),
};

/// Kinds of teams: threads, and whether the last one is slow.
///
/// More threads than two are as in training: smaller teams may do their work.
const TEAMS: [(usize, bool); 4] = [(1, false), (2, false), (2, true), (4, false)];

fn main() {
    let pixels = Pixels::random(784, 10);
    println!(
        "ms a step: one, two, two with a slow one, four threads; slow / (two × 4/3); four / two"
    );
    for network in BenchNetwork::all() {
        let mut seconds = [const { Vec::new() }; TEAMS.len()];
        let mut parts = Vec::new();
        for _ in 0..ROUNDS {
            for ((threads, slow), seconds) in TEAMS.into_iter().zip(&mut seconds) {
                let new = if threads > 2 {
                    Fused::on_up_to
                } else {
                    Fused::new
                };
                let fused = new(threads, ProductPrecision::F32).expect("threads");
                if slow {
                    fused.slow_down(threads - 1);
                }
                let time =
                    steps::time(fused, &network, &pixels, REPEATS, 1).expect("a finite loss");
                seconds.push(time.seconds);
                if slow {
                    parts = time.parts;
                }
            }
        }
        let [one, two, slow, four] = seconds.map(|mut all| median(&mut all));
        println!(
            "{:9} {:.3} {:.3} {:.3} {:.3}  {:.2} {:.2}  parts {parts:.2?}",
            network.name,
            1e3 * one,
            1e3 * two,
            1e3 * slow,
            1e3 * four,
            slow / (two * 4.0 / 3.0),
            four / two,
        );
    }
}
