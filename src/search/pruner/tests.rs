use serde_json::json;

use super::*;
use crate::metrics::Direction;
use crate::search::journal::{NewTrial, Operation, Record, TrialState};

/// A study, and trials of it one after the other.
struct Script {
    storage: Storage,
}

impl Script {
    fn new(direction: Direction) -> Self {
        let mut script = Script {
            storage: Storage::default(),
        };
        script.apply(Operation::CreateStudy {
            name: "s".into(),
            directions: vec![direction],
        });
        script
    }

    fn apply(&mut self, operation: Operation) {
        self.storage
            .apply(Record {
                worker: "w".into(),
                operation,
            })
            .unwrap();
    }

    fn begin(&mut self) -> usize {
        let id = self.storage.next_trial();
        self.apply(Operation::CreateTrial {
            study: 0,
            trial: Box::new(NewTrial::new(TrialState::Running, None)),
        });
        id
    }

    /// Reports a value and follows the verdict: whether the trial goes on.
    fn report(&mut self, pruner: &dyn Pruner, trial: usize, step: u64, value: f64) -> bool {
        self.apply(Operation::Report { trial, step, value });
        let study = self.storage.study("s").unwrap();
        let verdict = pruner.verdict(&self.storage, study, self.storage.trial(trial).unwrap());
        for (key, value) in verdict.notes {
            self.apply(Operation::TrialSystemAttr {
                trial,
                key,
                value: json!(value),
            });
        }
        let state = if verdict.prune {
            TrialState::Pruned
        } else {
            return true;
        };
        self.apply(Operation::SetState {
            trial,
            state,
            values: Some(vec![value]),
            at: None,
        });
        false
    }

    fn complete(&mut self, trial: usize, value: f64) {
        self.apply(Operation::SetState {
            trial,
            state: TrialState::Complete,
            values: Some(vec![value]),
            at: None,
        });
    }

    fn rungs(&self, trial: usize) -> Vec<String> {
        self.storage
            .trial(trial)
            .unwrap()
            .content
            .system_attrs
            .keys()
            .cloned()
            .collect()
    }
}

/// η = 2, r = 1, rungs at steps 1, 2, 4. Worked by hand.
#[test]
fn halving_by_hand() {
    let asha = SuccessiveHalving {
        min_resource: 1,
        reduction: 2,
        early_stopping: 0,
    };
    let mut script = Script::new(Direction::Maximize);
    let [a, b, c, d, e] = std::array::from_fn(|_| script.begin());
    // Rung 0. The first one always passes. Of 2 or 3 one passes, of 4 or 5 two.
    assert!(script.report(&asha, a, 1, 0.5), "1st of 1");
    assert!(!script.report(&asha, b, 1, 0.4), "2nd of 2");
    assert!(script.report(&asha, c, 1, 0.6), "1st of 3");
    assert!(script.report(&asha, d, 1, 0.55), "2nd of 4, two pass");
    assert!(!script.report(&asha, e, 1, 0.52), "3rd of 5, two pass");
    // Rung 1 at step 2, among those that got there.
    assert!(script.report(&asha, a, 2, 0.7), "1st of 1");
    assert!(!script.report(&asha, c, 2, 0.65), "2nd of 2");
    // Between rungs no trial is pruned, however bad it is. Rung 2 is at step 4.
    assert!(script.report(&asha, a, 3, 0.0));
    assert!(script.report(&asha, a, 4, 0.1), "1st of 1");
    assert_eq!(
        script.rungs(a),
        ["completed_rung_0", "completed_rung_1", "completed_rung_2"]
    );
    assert_eq!(script.rungs(b), ["completed_rung_0"]);
    // A late first report meets several rungs at once. It is worse than a at the second one.
    let f = script.begin();
    assert!(!script.report(&asha, f, 2, 0.61));
    assert_eq!(script.rungs(f), ["completed_rung_0", "completed_rung_1"]);
}

#[test]
fn halving_of_losses_ties_and_nan() {
    let asha = SuccessiveHalving {
        min_resource: 2,
        ..SuccessiveHalving::default()
    };
    let mut script = Script::new(Direction::Minimize);
    let [a, b, c, d] = std::array::from_fn(|_| script.begin());
    assert!(
        script.report(&asha, a, 1, f64::NAN),
        "before the first rung"
    );
    assert!(script.report(&asha, a, 2, 0.5));
    assert!(script.report(&asha, b, 2, 0.5), "as good as the best");
    assert!(!script.report(&asha, c, 2, 0.6));
    assert!(!script.report(&asha, d, 2, f64::NAN));
    assert_eq!(script.rungs(d), [""; 0]);
}

#[test]
fn the_median_of_complete_trials_decides() {
    let rule = Median::default();
    let mut script = Script::new(Direction::Maximize);
    for value in [0.1, 0.2, 0.3, 0.4] {
        let trial = script.begin();
        assert!(
            script.report(&rule, trial, 1, value),
            "too few are complete"
        );
        script.complete(trial, value);
    }
    let early = script.begin();
    assert!(script.report(&rule, early, 1, 0.0), "four are too few");
    script.complete(early, 0.0);
    // Reports at step 1: 0.0, 0.1, 0.2, 0.3, 0.4.
    let [worse, equal, once_good, late, lost] = std::array::from_fn(|_| script.begin());
    assert!(!script.report(&rule, worse, 1, 0.19));
    assert!(
        script.report(&rule, equal, 1, 0.2),
        "not worse than the median"
    );
    assert!(script.report(&rule, once_good, 1, 0.3));
    assert!(script.report(&rule, late, 7, 0.0), "nobody else has step 7");
    assert!(!script.report(&rule, lost, 1, f64::NAN));
    // Its best report counts, not its last one.
    script.apply(Operation::SetState {
        trial: equal,
        state: TrialState::Complete,
        values: Some(vec![0.2]),
        at: None,
    });
    assert!(script.report(&rule, once_good, 1, 0.3));
}

#[test]
fn an_even_number_of_trials_has_a_median_between_two() {
    let rule = Median {
        startup: 2,
        warmup: 3,
    };
    let mut script = Script::new(Direction::Minimize);
    for value in [1.0, 2.0] {
        let trial = script.begin();
        script.report(&rule, trial, 2, value);
        script.report(&rule, trial, 3, value);
        script.complete(trial, value);
    }
    let [a, b] = std::array::from_fn(|_| script.begin());
    assert!(script.report(&rule, a, 2, 1.6), "still warming up");
    assert!(!script.report(&rule, a, 3, 1.6));
    assert!(script.report(&rule, b, 3, 1.5));
}

/// The numbers of the paper's table 1: R = 81, η = 3 gives 5 brackets, of 81, 34, 15, 8 and 5 trials.
#[test]
fn hyperband_brackets_are_those_of_the_paper() {
    let hyperband = Hyperband::new(81);
    assert_eq!(hyperband.brackets(), 5);
    let shares: Vec<_> = (0..5).map(|b| hyperband.share(b)).collect();
    assert_eq!(shares, [81, 34, 15, 8, 5]);
    // A floating-point logarithm fails at powers of η.
    assert_eq!(Hyperband::new(243).brackets(), 6);
    assert_eq!(Hyperband::new(242).brackets(), 5);
    assert_eq!(Hyperband::new(1).brackets(), 1);
}

#[test]
fn trials_are_distributed_over_brackets_by_weight() {
    let hyperband = Hyperband::new(10);
    assert_eq!(
        (0..3).map(|b| hyperband.share(b)).collect::<Vec<_>>(),
        [9, 5, 3]
    );
    let mut dealt = [0.0; 3];
    let n = 3400;
    (0..n).for_each(|number| dealt[hyperband.bracket("study", number) as usize] += 1.0);
    for (bracket, count) in dealt.iter().enumerate() {
        let p = hyperband.share(bracket as u32) as f64 / 17.0;
        let expected = n as f64 * p;
        assert!(
            (count - expected).abs() <= 5.0 * (expected * (1.0 - p)).sqrt(),
            "{dealt:?}"
        );
    }
}

/// A bracket's rungs begin at η^b, and its trials compete among themselves.
#[test]
fn brackets_do_not_mix() {
    let hyperband = Hyperband::new(9);
    let mut script = Script::new(Direction::Maximize);
    let mut best = [None::<f64>; 3];
    for i in 0..40 {
        let trial = script.begin();
        let bracket = hyperband.bracket("s", trial);
        let first_rung = 3u64.pow(bracket);
        let value = 1.0 - f64::from(i) / 100.0;
        for step in 1..first_rung {
            assert!(script.report(&hyperband, trial, step, value));
            assert!(script.rungs(trial).is_empty());
        }
        // Values fall. Only the first trial of a bracket is its best, but one in three of those so far may
        // pass.
        let went_on = script.report(&hyperband, trial, first_rung, value);
        assert_eq!(went_on, best[bracket as usize].is_none());
        best[bracket as usize].get_or_insert(value);
    }
    assert!(best.iter().all(Option::is_some));
}
