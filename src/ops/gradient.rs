//! Central differences for the tests of single operations: `$f'(x) \approx (f(x+h) - f(x-h)) / 2h$`.

/// Compares `analytic` with central differences of `f` in every entry of `x`, in f64.
pub(crate) fn check(name: &str, x: &[f64], analytic: &[f64], mut f: impl FnMut(&[f64]) -> f64) {
    assert_eq!(
        x.len(),
        analytic.len(),
        "{name}: one gradient entry per input entry"
    );
    let mut x = x.to_vec();
    for i in 0..x.len() {
        let (old, h) = (x[i], 1e-5);
        x[i] = old + h;
        let above = f(&x);
        x[i] = old - h;
        let below = f(&x);
        x[i] = old;
        let numeric = (above - below) / (2.0 * h);
        let error = (numeric - analytic[i]).abs() / numeric.abs().max(analytic[i].abs()).max(1e-3);
        assert!(
            error.is_finite() && error <= 1e-7,
            "{name}[{i}]: analytic {} against numeric {numeric}",
            analytic[i]
        );
    }
}

/// `count` reproducible numbers in (−1, 1) that are no pattern of the index.
pub(crate) fn numbers(count: usize, salt: u32) -> Vec<f64> {
    (0..count)
        .map(|i| {
            let [word, ..] = crate::rng::philox4x32([i as u32, salt, 0, 0], [17, 4]);
            (f64::from(word) + 0.5) / f64::from(1_u32 << 31) - 1.0
        })
        .collect()
}

/// `$\langle u, y \rangle$`: turns a tensor into a scalar whose gradient is `u`.
pub(crate) fn dot(u: &[f64], y: &[f64]) -> f64 {
    assert_eq!(u.len(), y.len());
    u.iter().zip(y).map(|(a, b)| a * b).sum()
}
