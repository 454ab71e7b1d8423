use super::*;

fn space(parameters: &[(&str, &str)]) -> Space {
    let mut space = Space::default();
    for (name, text) in parameters {
        assert!(space.add(name, text).unwrap());
    }
    space
}

fn study_space() -> Space {
    space(&[
        ("lr", "0.0005..0.005"),
        ("width", "500..1000"),
        ("depth", "4..8"),
        ("dropout", "0.1..0.4"),
        ("batch_size", "64..128"),
        ("weight_decay", "1e-6..1e-2:log"),
    ])
}

/// Draws of each parameter as shares of its range. They are uniform if the sampler is right.
fn shares(sampler: &dyn Sampler, space: &Space, n: u32) -> Vec<Vec<f64>> {
    let points: Vec<Point> = (0..n)
        .map(|slot| sampler.proposals(space, slot, &[]).next().unwrap())
        .collect();
    let share = |d: usize, x: f64| match space.distributions().nth(d).unwrap() {
        crate::search::Distribution::Float {
            low,
            high,
            log: true,
            ..
        } => (x / low).ln() / (high / low).ln(),
        crate::search::Distribution::Float { low, high, .. } => (x - low) / (high - low),
        crate::search::Distribution::Int { low, high, .. } => {
            (x - *low as f64 + 0.5) / ((high - low) as f64 + 1.0)
        }
        crate::search::Distribution::Categorical { choices } => (x + 0.5) / choices.len() as f64,
    };
    (0..space.len())
        .map(|d| points.iter().map(|p| share(d, p[d])).collect())
        .collect()
}

/// Kolmogorov's distance between a sample and the uniform distribution on [0, 1).
fn distance(sample: &[f64]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let gap = |(i, x): (usize, &f64)| {
        ((i as f64 + 1.0) / n - x)
            .abs()
            .max((x - i as f64 / n).abs())
    };
    sorted.iter().enumerate().map(gap).fold(0.0, f64::max)
}

/// With 2000 draws the distance exceeds 1.95/√n once in a thousand. Integers add half of a cell.
#[test]
fn random_draws_are_uniform_and_independent() {
    let (space, n) = (study_space(), 2000);
    let shares = shares(&Random { seed: 1 }, &space, n);
    for (d, sample) in shares.iter().enumerate() {
        let half_cell = space
            .distributions()
            .nth(d)
            .unwrap()
            .cardinality()
            .map_or(0.0, |cells| 0.5 / cells as f64);
        let distance = distance(sample);
        assert!(
            distance <= 1.95 / f64::from(n).sqrt() + half_cell,
            "parameter {d}: {distance}"
        );
    }
    for a in 0..shares.len() {
        for b in 0..a {
            let covariance: f64 = shares[a]
                .iter()
                .zip(&shares[b])
                .map(|(x, y)| (x - 0.5) * (y - 0.5))
                .sum::<f64>()
                / f64::from(n);
            assert!(
                (covariance * 12.0).abs() <= 3.9 / f64::from(n).sqrt(),
                "parameters {a} and {b}: {covariance}"
            );
        }
    }
}

/// The defining property: of the first 2^m points each of 2^m equal intervals of every coordinate has exactly
/// one.
#[test]
fn sobol_points_fill_every_interval_once() {
    let space = space(&[
        ("lr", "0..1"),
        ("dropout", "0..1"),
        ("gamma", "0..1"),
        ("factor", "0..1"),
        ("alpha", "0..1"),
    ]);
    for seed in [0, 7] {
        for sample in shares(&Sobol { seed }, &space, 256) {
            let mut seen = vec![0; 256];
            sample.iter().for_each(|x| seen[(x * 256.0) as usize] += 1);
            assert!(seen.iter().all(|&n| n == 1));
        }
    }
    let first = |seed| Sobol { seed }.proposals(&space, 0, &[]).next().unwrap();
    assert_ne!(first(0), first(7), "the seed scrambles");
    assert!(
        first(0).iter().all(|&x| x > 0.0),
        "the plain sequence begins in a corner"
    );
}

/// The same in two dimensions: of 256 points each of 16 × 16 squares has one.
#[test]
fn sobol_points_fill_every_square_of_the_first_two_coordinates() {
    let space = space(&[("lr", "0..1"), ("dropout", "0..1")]);
    let shares = shares(&Sobol { seed: 3 }, &space, 256);
    let mut seen = vec![0; 256];
    shares[0]
        .iter()
        .zip(&shares[1])
        .for_each(|(x, y)| seen[(x * 16.0) as usize * 16 + (y * 16.0) as usize] += 1);
    assert!(seen.iter().all(|&n| n == 1));
}

#[test]
fn points_depend_on_seed_and_slot_alone() {
    let space = study_space();
    let samplers: [Box<dyn Sampler>; 2] =
        [Box::new(Random { seed: 5 }), Box::new(Sobol { seed: 5 })];
    for sampler in &samplers {
        let in_order: Vec<_> = (0..8)
            .map(|slot| point(sampler.as_ref(), &space, slot, &[]))
            .collect();
        let history = [Observation {
            point: in_order[3].clone().unwrap(),
            outcome: TrialOutcome::Complete(0.1),
        }];
        assert_eq!(
            point(sampler.as_ref(), &space, 3, &history),
            in_order[3],
            "a retry has its slot's point again"
        );
        assert!(in_order.windows(2).all(|pair| pair[0] != pair[1]));
    }
    assert_ne!(
        point(&Random { seed: 5 }, &space, 0, &[]),
        point(&Random { seed: 6 }, &space, 0, &[])
    );
}

#[test]
fn a_small_space_is_exhausted_without_repeats() {
    let space = space(&[
        ("activation", "relu,tanh,elu"),
        ("depth", "2..5"),
        ("dropout", "0.1..0.2:0.1"),
    ]);
    let samplers: [Box<dyn Sampler>; 3] = [
        Box::new(Random { seed: 2 }),
        Box::new(Sobol { seed: 2 }),
        Box::new(Tpe { seed: 2 }),
    ];
    for sampler in &samplers {
        let mut history: Vec<Observation> = Vec::new();
        for slot in 0..24 {
            let point = point(sampler.as_ref(), &space, slot, &history).unwrap();
            assert!(
                space
                    .distributions()
                    .zip(&point)
                    .all(|(d, &x)| d.contains(x)),
                "{point:?}"
            );
            assert!(history.iter().all(|o| o.point != point), "{point:?} twice");
            let loss = point.iter().sum();
            history.push(Observation {
                point,
                outcome: TrialOutcome::Complete(loss),
            });
        }
        assert_eq!(point(sampler.as_ref(), &space, 24, &history), None);
    }
}

/// A bowl with one category that matters. Its minimum is 0 at lr = 0.01, width 700, tanh.
fn bowl(point: &[f64]) -> f64 {
    (point[0].log10() + 2.0).powi(2)
        + ((point[1] - 700.0) / 250.0).powi(2)
        + if point[2] == 1.0 { 0.0 } else { 0.5 }
}

fn best_of(sampler: &dyn Sampler, space: &Space, trials: u32) -> f64 {
    let mut history: Vec<Observation> = Vec::new();
    for slot in 0..trials {
        let point = point(sampler, space, slot, &history).unwrap();
        let outcome = TrialOutcome::Complete(bowl(&point));
        history.push(Observation { point, outcome });
    }
    history
        .iter()
        .map(|o| bowl(&o.point))
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn tpe_beats_random_search_on_a_bowl() {
    let space = space(&[
        ("lr", "1e-5..1:log"),
        ("width", "50..1000"),
        ("activation", "relu,tanh,elu,silu"),
    ]);
    let (mut wins, mut ratios) = (0, Vec::new());
    for seed in 0..15 {
        let random = best_of(&Random { seed }, &space, 60);
        let tpe = best_of(&Tpe { seed }, &space, 60);
        wins += u32::from(tpe < random);
        ratios.push(tpe / random);
    }
    ratios.sort_by(f64::total_cmp);
    assert!(
        wins >= 11 && ratios[7] <= 0.5,
        "{wins} of 15, ratios {ratios:?}"
    );
}
