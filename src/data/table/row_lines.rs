//! In which line of its file each row begins.

/// The line of each row. Most rows follow the one before in the next line, so only the others are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::data) struct RowLines {
    /// Rows that do not follow in the next line, with their lines.
    starts: Vec<(u32, u64)>,
    rows: u32,
}

impl RowLines {
    /// Adds the line of the next row.
    pub(in crate::data) fn push(&mut self, line: u64) {
        if self.line(self.rows) != Some(line) {
            self.starts.push((self.rows, line));
        }
        self.rows += 1;
    }

    /// The line of a row; `None` if rows are no lines.
    pub(in crate::data) fn get(&self, row: usize) -> Option<u64> {
        u32::try_from(row).ok().and_then(|row| self.line(row))
    }

    fn line(&self, row: u32) -> Option<u64> {
        let after = self.starts.partition_point(|&(start, _)| start <= row);
        let &(start, line) = self.starts[..after].last()?;
        Some(line + u64::from(row - start))
    }

    /// The lines of the rows with these numbers, in this order.
    pub(super) fn select(&self, rows: &[u32]) -> RowLines {
        let mut selected = RowLines::default();
        let lines = rows.iter().filter_map(|&row| self.line(row));
        lines.for_each(|line| selected.push(line));
        selected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back() {
        let all = [2, 3, 4, 7, 8, 20, 21];
        let mut lines = RowLines::default();
        all.iter().for_each(|&line| lines.push(line));
        assert_eq!(lines.starts.len(), 3);
        for (row, &line) in all.iter().enumerate() {
            assert_eq!(lines.get(row), Some(line));
        }
        let some = lines.select(&[1, 2, 5]);
        assert_eq!(
            [some.get(0), some.get(1), some.get(2)],
            [Some(3), Some(4), Some(20)]
        );
        assert_eq!(RowLines::default().get(0), None);
    }
}
