//! One formula in several hands: as text, as MathML, as numpy, and as JSON for the page.

pub mod json;
pub mod mathml;
pub mod numpy;
mod product;
pub mod text;

/// A number in as few digits as give it back exactly.
pub fn number(x: f64) -> String {
    let size = x.abs();
    match size != 0.0 && size.is_finite() && !(1e-4..1e16).contains(&size) {
        true => format!("{x:e}"),
        false => format!("{x}"),
    }
}

/// A number in so few digits that a table stays readable.
pub fn short(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        return "0".into();
    }
    if !size.is_finite() {
        return format!("{x}");
    }
    if x.fract() == 0.0 && size < 1e10 {
        return format!("{x}");
    }
    match (1e-3..1e5).contains(&size) {
        true => {
            let digits = (4 - size.log10().floor() as i32).clamp(1, 6) as usize;
            let text = format!("{x:.digits$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        false => format!("{x:.3e}"),
    }
}
