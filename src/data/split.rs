//! Splitting off a validation part. The split is stratified: each class gives in proportion to its size. Folds are
//! stratified too (Kohavi, “A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection”,
//! IJCAI 1995).

use super::Dataset;
use crate::rng::{self, Purpose};

/// The training and the validation samples. Both lists ascend, and together they hold every sample once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Indices of the training samples.
    pub train: Vec<u32>,
    /// Indices of the validation samples.
    pub validation: Vec<u32>,
}

/// Which of the training samples validate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Validation {
    /// This share of them; none of them if the data have a validation part of their own.
    Share(f64),
    /// Those of one of several folds.
    Fold {
        /// From 1.
        number: u32,
        /// How many there are.
        folds: u32,
    },
}

impl Validation {
    /// About which share of the training samples it is.
    pub fn share(self) -> f64 {
        match self {
            Validation::Share(share) => share,
            Validation::Fold { folds, .. } => 1.0 / f64::from(folds),
        }
    }
}

impl Dataset {
    /// Which samples of the training part are learnt from, and which of it validate, or of the validation part if there
    /// is one.
    pub fn split(&self, validation: Validation, seed: u64) -> Split {
        let strata = self.train.labels.strata();
        match (validation, &self.validation) {
            (Validation::Fold { number, folds }, _) => fold(&strata, folds, number, seed),
            (Validation::Share(share), None) => stratified(&strata, share, seed),
            (Validation::Share(_), Some(own)) => Split {
                train: (0..strata.len() as u32).collect(),
                validation: (0..own.labels.len() as u32).collect(),
            },
        }
    }
}

/// Splits off `round(fraction · n)` samples for validation, drawn by `seed`.
///
/// Each class gives in proportion to its size, rounded down. The samples still missing come from the classes
/// with the largest remainder (the lower class first on a tie). A class never gives its last sample, so the
/// validation part may be smaller than asked if classes are tiny.
pub fn stratified(labels: &[u32], fraction: f64, seed: u64) -> Split {
    let wanted = (fraction * labels.len() as f64).round() as usize;
    let members = members(labels);
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    let shares = shares(&sizes, wanted);

    let mut rng = rng::stream(seed, Purpose::Split);
    let mut split = Split {
        train: Vec::with_capacity(labels.len()),
        validation: Vec::with_capacity(wanted.min(labels.len())),
    };
    for (mut indices, share) in members.into_iter().zip(shares) {
        rng::shuffle(&mut indices, &mut rng);
        split.validation.extend_from_slice(&indices[..share]);
        split.train.extend_from_slice(&indices[share..]);
    }
    split.train.sort_unstable();
    split.validation.sort_unstable();
    split
}

/// The split of fold `number`, from 1, of `folds`: its samples validate, all others are learnt from. `seed` deals the
/// samples out.
///
/// The samples of each class are shuffled and dealt to the folds in turn, one class after the other. So the folds
/// differ by at most one sample of each class, and by at most one in size.
pub fn fold(labels: &[u32], folds: u32, number: u32, seed: u64) -> Split {
    let mut rng = rng::stream(seed, Purpose::Split);
    let mut split = Split {
        train: Vec::new(),
        validation: Vec::new(),
    };
    let mut dealt = (1..=folds).cycle();
    for mut indices in members(labels) {
        rng::shuffle(&mut indices, &mut rng);
        for (index, fold) in indices.into_iter().zip(&mut dealt) {
            match fold == number {
                true => split.validation.push(index),
                false => split.train.push(index),
            }
        }
    }
    split.train.sort_unstable();
    split.validation.sort_unstable();
    split
}

/// The samples of each class.
fn members(labels: &[u32]) -> Vec<Vec<u32>> {
    let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in (0..).zip(labels) {
        members[label as usize].push(index);
    }
    members
}

/// Spreads `wanted` over classes of the given sizes by largest remainder. Each class keeps at least one sample.
fn shares(sizes: &[usize], wanted: usize) -> Vec<usize> {
    let total = sizes.iter().sum::<usize>().max(1);
    let most: Vec<usize> = sizes.iter().map(|size| size.saturating_sub(1)).collect();
    let exact = |class: usize| sizes[class] as u128 * wanted as u128;
    let mut shares: Vec<usize> = (0..sizes.len())
        .map(|class| (exact(class) / total as u128).min(most[class] as u128) as usize)
        .collect();

    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(exact(class) % total as u128));
    let mut missing = wanted.min(most.iter().sum()) - shares.iter().sum::<usize>();
    while missing > 0 {
        for &class in &by_remainder {
            if missing > 0 && shares[class] < most[class] {
                shares[class] += 1;
                missing -= 1;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_largest_remainder() {
        // 10 of 17 from sizes 8, 6, 3: 4.70, 3.53, 1.76, so 4 + 3 + 1, then one more for classes 2 and 0.
        assert_eq!(shares(&[8, 6, 3], 10), [5, 3, 2]);
        // A tie goes to the lower class: 1.5 each.
        assert_eq!(shares(&[5, 5], 3), [2, 1]);
        assert_eq!(shares(&[5, 0, 5], 0), [0, 0, 0]);
    }

    #[test]
    fn a_class_keeps_its_last_sample() {
        assert_eq!(shares(&[1, 9], 5), [0, 5]);
        assert_eq!(shares(&[1, 2], 3), [0, 1]);
        assert_eq!(shares(&[4, 4], 100), [3, 3]);
        assert_eq!(shares(&[], 3), [0; 0]);
    }

    #[test]
    fn the_parts_are_ascending_disjoint_and_complete() {
        let labels: Vec<u32> = (0..101).map(|i| [2, 0, 0, 1, 0][i % 5]).collect();
        let split = stratified(&labels, 0.2, 3);
        assert_eq!(split.validation.len(), 20); // round(20.2)
        for part in [&split.train, &split.validation] {
            assert!(part.windows(2).all(|pair| pair[0] < pair[1]));
        }
        let mut all = [split.train.clone(), split.validation.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..101).collect::<Vec<u32>>());
        // 60 of class 0, 20 of class 1, 21 of class 2: shares 11.88, 3.96, 4.16.
        let of = |class| {
            let is = |&&i: &&u32| labels[i as usize] == class;
            split.validation.iter().filter(is).count()
        };
        assert_eq!([of(0), of(1), of(2)], [12, 4, 4]);
    }

    #[test]
    fn each_sample_validates_in_one_fold() {
        let labels: Vec<u32> = (0..103).map(|i| [2, 0, 0, 1, 0][i % 5]).collect();
        for folds in [2, 3, 7, 103] {
            let splits: Vec<Split> = (1..=folds).map(|i| fold(&labels, folds, i, 5)).collect();
            let mut all: Vec<u32> = splits.iter().flat_map(|s| s.validation.clone()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..103).collect::<Vec<u32>>());
            let of = |split: &Split, class: u32| {
                let is = |&&i: &&u32| labels[i as usize] == class;
                split.validation.iter().filter(is).count()
            };
            for class in 0..3 {
                let counts = || splits.iter().map(|split| of(split, class));
                assert!(counts().max().unwrap() - counts().min().unwrap() <= 1);
            }
            let sizes = || splits.iter().map(|split| split.validation.len());
            assert!(sizes().max().unwrap() - sizes().min().unwrap() <= 1);
            assert!(
                splits
                    .iter()
                    .all(|s| s.train.len() + s.validation.len() == 103)
            );
        }
        assert_ne!(fold(&labels, 3, 1, 5), fold(&labels, 3, 1, 6));
    }

    #[test]
    fn the_split_depends_on_the_seed() {
        let labels: Vec<u32> = (0..200).map(|i| i % 4).collect();
        assert_eq!(stratified(&labels, 0.3, 1), stratified(&labels, 0.3, 1));
        assert_ne!(stratified(&labels, 0.3, 1), stratified(&labels, 0.3, 2));
    }

    #[test]
    fn a_fraction_of_0_leaves_the_validation_part_empty() {
        let split = stratified(&[0, 1, 1], 0.0, 9);
        assert_eq!(split.train, [0, 1, 2]);
        assert!(split.validation.is_empty());
        assert!(stratified(&[], 0.2, 9).train.is_empty());
    }
}
