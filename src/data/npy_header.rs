//! The header of an NPY file: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.

/// The family of a type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    Bool,
    Unsigned,
    Signed,
    Float,
    /// Bytes, without the zeros at their end.
    Bytes,
    /// Characters of four bytes, without the zeros at their end.
    Text,
}

/// The contents of a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NpyHeader {
    pub(super) kind: ValueKind,
    /// Bytes per value: 1, 2, 4 or 8 for numbers, any but 0 for texts.
    pub(super) size: usize,
    pub(super) big_endian: bool,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

/// What was expected and what was found.
type Mismatch = (String, String);

impl NpyHeader {
    pub(super) fn parse(text: &str) -> Result<Self, Mismatch> {
        let mut parser = Parser { rest: text };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        parser.expect('{')?;
        while !parser.accept('}') {
            let key = parser.string()?;
            parser.expect(':')?;
            match key {
                "descr" => descr = Some(parser.string()?),
                "fortran_order" => fortran_order = Some(parser.boolean()?),
                "shape" => shape = Some(parser.tuple()?),
                _ => return Err(mismatch("descr, fortran_order and shape", key)),
            }
            if !parser.accept(',') {
                parser.expect('}')?;
                break;
            }
        }
        let (Some(descr), Some(fortran_order), Some(shape)) = (descr, fortran_order, shape) else {
            return Err(mismatch("descr, fortran_order and shape", text.trim_end()));
        };
        if !parser.rest.trim().is_empty() {
            return Err(mismatch("nothing after }", parser.rest.trim()));
        }
        let (kind, size, big_endian) = parse_descr(descr)?;
        Ok(NpyHeader {
            kind,
            size,
            big_endian,
            fortran_order,
            shape,
        })
    }

    /// The type as NumPy writes it, without byte order: "f4".
    pub(super) fn dtype_name(&self) -> String {
        match self.kind {
            ValueKind::Bool => "bool".to_owned(),
            ValueKind::Unsigned => format!("u{}", self.size),
            ValueKind::Signed => format!("i{}", self.size),
            ValueKind::Float => format!("f{}", self.size),
            ValueKind::Bytes => format!("S{}", self.size),
            ValueKind::Text => format!("U{}", self.size / CHARACTER),
        }
    }
}

/// Bytes of a character of a text.
pub(super) const CHARACTER: usize = 4;

fn parse_descr(descr: &str) -> Result<(ValueKind, usize, bool), Mismatch> {
    let (big_endian, name) = match descr.split_at_checked(1) {
        Some((">", name)) => (true, name),
        Some(("<" | "|", name)) => (false, name),
        Some(("=", name)) => (cfg!(target_endian = "big"), name),
        _ => (false, descr),
    };
    let size = name.get(1..).and_then(|size| size.parse::<usize>().ok());
    let (kind, size) = match (name.get(..1), size) {
        (Some("b"), Some(1)) => (ValueKind::Bool, 1),
        (Some("u"), Some(size @ (1 | 2 | 4 | 8))) => (ValueKind::Unsigned, size),
        (Some("i"), Some(size @ (1 | 2 | 4 | 8))) => (ValueKind::Signed, size),
        (Some("f"), Some(size @ (2 | 4 | 8))) => (ValueKind::Float, size),
        (Some("S"), Some(size @ 1..)) => (ValueKind::Bytes, size),
        (Some("U"), Some(size @ 1..)) => (ValueKind::Text, size.saturating_mul(CHARACTER)),
        (Some("O"), None) => {
            let expected =
                "numbers or texts: x.astype(float) or y.astype(str) makes them of Python objects";
            return Err(mismatch(expected, descr));
        }
        _ => {
            let expected = "a descr of type b1, u1 to u8, i1 to i8, f2 to f8, S or U";
            return Err(mismatch(expected, descr));
        }
    };
    Ok((kind, size, big_endian))
}

fn mismatch(expected: &str, found: &str) -> Mismatch {
    let found: String = found.chars().take(60).collect();
    (expected.to_owned(), format!("\"{}\"", found.trim_end()))
}

/// Reads the few Python literals that a header holds.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn accept(&mut self, token: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: char) -> Result<(), Mismatch> {
        if self.accept(token) {
            Ok(())
        } else {
            Err(mismatch(&token.to_string(), self.rest))
        }
    }

    fn string(&mut self) -> Result<&'a str, Mismatch> {
        self.rest = self.rest.trim_start();
        for quote in ['\'', '"'] {
            let inside = self.rest.strip_prefix(quote);
            if let Some((text, rest)) = inside.and_then(|inside| inside.split_once(quote)) {
                self.rest = rest;
                return Ok(text);
            }
        }
        Err(mismatch(
            "a simple number type as a quoted string",
            self.rest,
        ))
    }

    fn boolean(&mut self) -> Result<bool, Mismatch> {
        self.rest = self.rest.trim_start();
        for (text, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(mismatch("True or False", self.rest))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, Mismatch> {
        self.expect('(')?;
        let mut sizes = Vec::new();
        while !self.accept(')') {
            self.rest = self.rest.trim_start();
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.rest.split_at(digits);
            let Ok(size) = number.parse() else {
                return Err(mismatch("a size below 2⁶⁴", self.rest));
            };
            sizes.push(size);
            // Python 2 wrote long integers with a suffix.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_numpy_writes_them() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }            \n";
        let header = NpyHeader::parse(text).unwrap();
        let expected = NpyHeader {
            kind: ValueKind::Float,
            size: 4,
            big_endian: false,
            fortran_order: false,
            shape: vec![3, 4],
        };
        assert_eq!(header, expected);
        assert_eq!(header.dtype_name(), "f4");
        let other = r#"{"shape":(7L,),"fortran_order":True,"descr":">i8"}"#;
        let header = NpyHeader::parse(other).unwrap();
        assert_eq!(header.shape, [7]);
        assert!(header.big_endian && header.fortran_order);
        assert_eq!((header.kind, header.size), (ValueKind::Signed, 8));
        let scalar = "{'descr': '|u1', 'fortran_order': False, 'shape': ()}";
        assert!(NpyHeader::parse(scalar).unwrap().shape.is_empty());
    }

    #[test]
    fn types_of_values() {
        let parse = |descr: &str| parse_descr(descr).unwrap();
        assert_eq!(parse("|b1"), (ValueKind::Bool, 1, false));
        assert_eq!(parse("<f2"), (ValueKind::Float, 2, false));
        assert_eq!(parse(">U5"), (ValueKind::Text, 20, true));
        assert_eq!(parse("|S3"), (ValueKind::Bytes, 3, false));
        let (_, found) = parse_descr("|O").unwrap_err();
        assert_eq!(found, "\"|O\"");
    }

    #[test]
    fn other_headers_are_refused() {
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 'x'}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f16', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<U0', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<U99999999999999999999', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': 'é1', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4",
        ] {
            assert!(NpyHeader::parse(text).is_err(), "{text}");
        }
    }
}
