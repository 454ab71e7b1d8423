//! The symbol of a tensor: what its name means.
//!
//! | name | symbol | meaning |
//! |---|---|---|
//! | `W1` | W⁽¹⁾ | W of layer 1 |
//! | `dW1` | dW⁽¹⁾ | the gradient of the loss by it |
//! | `W1_new` | W⁽¹⁾′ | W after the update |
//! | `m_W1`, `v_W1` | m, v of W⁽¹⁾ | the optimiser's moments |
//! | `Y1_m2` | Y⁽¹·ᵐ²⁾ | Y of layer 1 of an ensemble's member 2 |

/// A name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Whether it is the gradient of the loss by the rest.
    pub is_gradient: bool,
    /// What the optimiser keeps of it, if it is that: m, v, m̂, …
    pub of_optimizer: Option<&'static str>,
    /// The letter, maybe with a hat: W, x̂, σ².
    pub letter: String,
    /// The layer's number; `None` where there is one only.
    pub layer: Option<String>,
    /// The member's number; `None` in a network of its own, and for what all members share.
    pub member: Option<String>,
    /// Whether it is the value after the step.
    pub is_new: bool,
}

/// Prefixes of the optimiser's tensors.
const OPTIMIZER: [(&str, &str); 8] = [
    ("mhat_", "m̂"),
    ("vhat_", "v̂"),
    ("step_", "Δ"),
    ("size_", "s"),
    ("agree_", "a"),
    ("m_", "m"),
    ("v_", "v"),
    ("g_", "g"),
];

/// Names that are not their own symbol.
const LETTERS: [(&str, &str); 14] = [
    ("mean", "μ"),
    ("centred", "c"),
    ("squared", "c²"),
    ("var", "σ²"),
    ("rstd", "s"),
    ("xhat", "x̂"),
    ("gamma", "γ"),
    ("beta", "β"),
    ("rmean", "μ̄"),
    ("rvar", "σ̄²"),
    ("mask", "M"),
    ("slope", "f′"),
    ("gnorm", "‖g‖"),
    ("lrow", "ℓ"),
];

impl Symbol {
    /// The symbol of a tensor's name.
    pub fn of(name: &str) -> Self {
        let (name, is_new) = match name.strip_suffix("_new") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let kept = OPTIMIZER
            .iter()
            .find_map(|(prefix, letter)| name.strip_prefix(prefix).map(|rest| (*letter, rest)));
        let (of_optimizer, name) = match kept {
            Some((letter, rest)) => (Some(letter), rest),
            None => (None, name),
        };
        let (is_gradient, name) = match name.strip_prefix('d') {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let (base, layer, member) = split(name);
        let letter = LETTERS.iter().find(|(word, _)| *word == base);
        Symbol {
            is_gradient,
            of_optimizer,
            letter: letter.map_or(base, |(_, letter)| letter).to_owned(),
            layer: (!layer.is_empty()).then(|| layer.to_owned()),
            member: member.map(str::to_owned),
            is_new,
        }
    }
}

/// A name's word, the number of its layer, maybe none, and its member's.
pub(super) fn split(name: &str) -> (&str, &str, Option<&str>) {
    let word = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (name, member) = match name.rsplit_once("_m") {
        Some((rest, member)) if word(member) == 0 => (rest, Some(member)),
        _ => (name, None),
    };
    let (word, layer) = name.split_at(word(name));
    (word, layer, member)
}
