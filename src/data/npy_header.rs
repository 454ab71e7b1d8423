//! The header of an NPY file: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.

/// The family of a number type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    Unsigned,
    Signed,
    Float,
}

/// The contents of a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NpyHeader {
    pub(super) kind: NumberKind,
    /// Bytes per value: 1, 2, 4 or 8.
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

    /// The number type as NumPy writes it, without byte order: "f4".
    pub(super) fn dtype_name(&self) -> String {
        let letter = match self.kind {
            NumberKind::Unsigned => 'u',
            NumberKind::Signed => 'i',
            NumberKind::Float => 'f',
        };
        format!("{letter}{}", self.size)
    }
}

fn parse_descr(descr: &str) -> Result<(NumberKind, usize, bool), Mismatch> {
    let (big_endian, name) = match descr.split_at_checked(1) {
        Some((">", name)) => (true, name),
        Some(("<" | "|", name)) => (false, name),
        Some(("=", name)) => (cfg!(target_endian = "big"), name),
        _ => (false, descr),
    };
    let (kind, size) = match name {
        "u1" => (NumberKind::Unsigned, 1),
        "u2" => (NumberKind::Unsigned, 2),
        "u4" => (NumberKind::Unsigned, 4),
        "u8" => (NumberKind::Unsigned, 8),
        "i1" => (NumberKind::Signed, 1),
        "i2" => (NumberKind::Signed, 2),
        "i4" => (NumberKind::Signed, 4),
        "i8" => (NumberKind::Signed, 8),
        "f4" => (NumberKind::Float, 4),
        "f8" => (NumberKind::Float, 8),
        _ => {
            return Err(mismatch(
                "a descr of type u1 to u8, i1 to i8, f4 or f8",
                descr,
            ));
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
            kind: NumberKind::Float,
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
        assert_eq!((header.kind, header.size), (NumberKind::Signed, 8));
        let scalar = "{'descr': '|u1', 'fortran_order': False, 'shape': ()}";
        assert!(NpyHeader::parse(scalar).unwrap().shape.is_empty());
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
            "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': 'é1', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4",
        ] {
            assert!(NpyHeader::parse(text).is_err(), "{text}");
        }
    }
}
