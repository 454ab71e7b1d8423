// What the examples of the course compare with: one line of each chapter includes this file.

/// Central differences of f in each entry of x: `(f(x + h) − f(x − h)) / 2h`, see the chapter on the chain rule.
pub fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-5;
    let moved = |i: usize, by: f64| {
        let mut x = x.to_vec();
        x[i] += by;
        f(&x)
    };
    let entries = 0..x.len();
    entries
        .map(|i| (moved(i, h) - moved(i, -h)) / (2.0 * h))
        .collect()
}

/// `⟨u, y⟩`, one number whose gradient with respect to y is u.
pub fn dot(u: &[f64], y: &[f64]) -> f64 {
    assert_eq!(u.len(), y.len());
    u.iter().zip(y).map(|(u, y)| u * y).sum()
}

/// Panics unless all entries agree within 1e-8.
pub fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(
            error.is_finite() && error <= 1e-8,
            "{found} against {expected}"
        );
    }
}
