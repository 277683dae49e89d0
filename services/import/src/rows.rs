//! CSV (RFC 4180), read as people write it: rows with the line each begins on, also behind cells of several lines; LF, CRLF
//! or CR; with or without a byte order mark; commas, or semicolons or tabs where there are no commas in the header. A quote
//! that is never closed costs its own line and not the rest of the file.

use std::io::{self, Read};

/// A row longer than this is given up: most likely it has a quote that is not closed.
const LONGEST: usize = 4 << 20;
const CHUNK: usize = 256 << 10;

const UNCLOSED: &str = "a cell begins with a quote that is not closed";
const TOO_LONG: &str = "the row is longer than 4 MiB, or a cell begins with a quote that is not closed";

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A row and the line it begins on.
    Row(u64, Vec<Vec<u8>>),
    /// A line that cannot be read as a row, and why.
    Malformed(u64, &'static str),
}

/// Rows of a file.
pub(crate) struct Rows<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    /// Line at `at`, from 1.
    line: u64,
    ended: bool,
    separator: u8,
}

enum Parsed {
    Row { cells: Vec<Vec<u8>>, bytes: usize, lines: u64 },
    More,
    Unclosed,
}

impl<R: Read> Rows<R> {
    /// Reads the beginning; refuses UTF-16, which spreadsheets write when asked for "Unicode text".
    pub(crate) fn new(input: R) -> io::Result<Self> {
        let mut rows = Self { input, buffer: Vec::new(), at: 0, line: 1, ended: false, separator: b',' };
        rows.read_more()?;
        if rows.buffer.starts_with(b"\xff\xfe") || rows.buffer.starts_with(b"\xfe\xff") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is UTF-16; save it as UTF-8"));
        }
        if rows.buffer.starts_with(b"\xef\xbb\xbf") {
            rows.at = 3;
        }
        rows.separator = separator(&rows.buffer[rows.at..]);
        Ok(rows)
    }

    /// The next row that is not an empty line.
    pub(crate) fn next(&mut self) -> io::Result<Option<Next>> {
        loop {
            if self.at >= self.buffer.len() && self.ended {
                return Ok(None);
            }
            let rest = &self.buffer[self.at..];
            match parse(rest, self.separator, self.ended) {
                Parsed::More if rest.len() <= LONGEST => self.read_more()?,
                Parsed::More => return self.skip_line(TOO_LONG).map(Some),
                Parsed::Unclosed => return self.skip_line(UNCLOSED).map(Some),
                Parsed::Row { cells, bytes, lines } => {
                    let line = self.line;
                    self.at += bytes;
                    self.line += lines;
                    if cells.len() > 1 || cells.first().is_some_and(|cell| !cell.is_empty()) {
                        return Ok(Some(Next::Row(line, cells)));
                    }
                }
            }
        }
    }

    /// Gives up on the line at hand, however long it is: its rest is no row of its own.
    fn skip_line(&mut self, reason: &'static str) -> io::Result<Next> {
        let line = self.line;
        loop {
            let rest = &self.buffer[self.at..];
            let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
            // A carriage return at the end of the buffer may have its line feed in the next.
            let whole = |at: usize| self.ended || at + 1 < rest.len() || rest[at] == b'\n';
            match end.filter(|&at| whole(at)) {
                Some(at) => {
                    self.at += at + if rest[at..].starts_with(b"\r\n") { 2 } else { 1 };
                    break;
                }
                None => self.at += end.unwrap_or(rest.len()),
            }
            if self.ended {
                break;
            }
            self.read_more()?;
        }
        self.line += 1;
        Ok(Next::Malformed(line, reason))
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + CHUNK, 0);
        let mut filled = before;
        while filled < self.buffer.len() {
            match self.input.read(&mut self.buffer[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }
}

/// What separates the cells of the header, outside quotes.
fn separator(bytes: &[u8]) -> u8 {
    let mut quoted = false;
    let mut other = None;
    // Empty lines before the header are no rows.
    let begin = bytes.iter().position(|b| !matches!(b, b'\n' | b'\r')).unwrap_or(0);
    for &b in &bytes[begin..] {
        match b {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b',' => return b',',
            b';' | b'\t' => other = other.or(Some(b)),
            b'\n' | b'\r' => break,
            _ => {}
        }
    }
    other.unwrap_or(b',')
}

fn parse(bytes: &[u8], separator: u8, ended: bool) -> Parsed {
    let mut cells = Vec::new();
    let mut at = 0;
    let mut lines = 0;
    loop {
        // A cell begins here.
        let mut cell = Vec::new();
        if bytes.get(at) == Some(&b'"') {
            match quoted(&bytes[at + 1..], &mut cell, ended) {
                Some((used, inside)) => {
                    at += 1 + used;
                    lines += inside;
                }
                None => return if ended { Parsed::Unclosed } else { Parsed::More },
            }
        }
        let plain = bytes[at..].iter().position(|&b| b == separator || b == b'\n' || b == b'\r');
        let Some(plain) = plain else {
            if !ended {
                return Parsed::More;
            }
            cell.extend_from_slice(&bytes[at..]);
            cells.push(cell);
            return Parsed::Row { cells, bytes: bytes.len(), lines };
        };
        cell.extend_from_slice(&bytes[at..at + plain]);
        cells.push(cell);
        at += plain;
        if bytes[at] == separator {
            at += 1;
            continue;
        }
        // The row ends here. A carriage return at the end of the buffer may have its line feed in the next.
        if bytes[at] == b'\r' && at + 1 == bytes.len() && !ended {
            return Parsed::More;
        }
        at += if bytes[at..].starts_with(b"\r\n") { 2 } else { 1 };
        return Parsed::Row { cells, bytes: at, lines: lines + 1 };
    }
}

/// Reads a quoted cell up to its closing quote; how many bytes and line ends that were.
fn quoted(bytes: &[u8], cell: &mut Vec<u8>, ended: bool) -> Option<(usize, u64)> {
    let mut at = 0;
    loop {
        let quote = at + bytes[at..].iter().position(|&b| b == b'"')?;
        cell.extend_from_slice(&bytes[at..quote]);
        match bytes.get(quote + 1) {
            Some(b'"') => {
                cell.push(b'"');
                at = quote + 2;
            }
            // Whether it is doubled is not known yet.
            None if !ended => return None,
            _ => return Some((quote + 1, line_ends(&bytes[..quote]))),
        }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    let ends = bytes
        .iter()
        .enumerate()
        .filter(|&(at, &b)| b == b'\n' || (b == b'\r' && bytes.get(at + 1) != Some(&b'\n')));
    ends.count() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader that gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let some = self.0.len().min(self.1).min(into.len());
            into[..some].copy_from_slice(&self.0[..some]);
            self.0 = &self.0[some..];
            Ok(some)
        }
    }

    fn read(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut rows = Rows::new(Trickle(text, 7)).unwrap();
        let mut all = Vec::new();
        while let Some(next) = rows.next().unwrap() {
            all.push(match next {
                Next::Row(line, cells) => (
                    line,
                    cells.into_iter().map(|cell| String::from_utf8_lossy(&cell).into_owned()).collect(),
                ),
                Next::Malformed(line, reason) => (line, vec![reason.to_owned()]),
            });
        }
        all
    }

    fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
        read(text.as_bytes())
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|&cell| cell.to_owned()).collect())
    }

    #[test]
    fn lines_are_those_of_the_file() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "", "1,\"x", "y", "z\"", "2,\"say \"\"hi\"\"\"", "", "3,"].join(end);
            let cell = ["x", "y", "z"].join(end);
            let expected = [
                row(1, &["a", "b"]),
                row(3, &["1", &cell]),
                row(6, &["2", "say \"hi\""]),
                row(8, &["3", ""]),
            ];
            assert_eq!(rows(&text), expected, "{end:?}");
            assert_eq!(rows(&format!("\u{feff}{text}{end}")), expected, "with a mark and a last line end");
        }
    }

    #[test]
    fn an_open_quote_costs_one_line() {
        let text = "a,b\n1,\"oops\n2,fine\n3,fine\n";
        let unclosed = "a cell begins with a quote that is not closed";
        assert_eq!(
            rows(text),
            [row(1, &["a", "b"]), row(2, &[unclosed]), row(3, &["2", "fine"]), row(4, &["3", "fine"])]
        );
    }

    /// The line each row or wrong line of a text begins on, with how many cells it has.
    fn shapes(text: &str) -> Vec<(u64, usize)> {
        let mut rows = Rows::new(text.as_bytes()).unwrap();
        let mut shapes = Vec::new();
        while let Some(next) = rows.next().unwrap() {
            shapes.push(match next {
                Next::Row(line, cells) => (line, cells.len()),
                Next::Malformed(line, _) => (line, 0),
            });
        }
        shapes
    }

    /// What is left of it behind the first four megabytes would be a row in other columns.
    #[test]
    fn a_line_that_is_too_long_costs_itself_only() {
        let long = "x".repeat(LONGEST + 3 * CHUNK);
        for (end, quote) in [("\n", ""), ("\r\n", "\""), ("\r", "")] {
            let text = ["a,b", &format!("1,{quote}{long},tail"), "2,fine"].join(end);
            assert_eq!(shapes(&text), [(1, 2), (2, 0), (3, 2)], "{quote:?} {end:?}");
        }
        // The line feed of the pair is in the next piece of the file.
        let head = "a,b\n\"";
        let text = format!("{head}{}\r\n2,fine\n", "x".repeat(LONGEST + 2 * CHUNK - 1 - head.len()));
        assert_eq!(shapes(&text), [(1, 2), (2, 0), (3, 2)]);
    }

    #[test]
    fn quotes_inside_plain_cells_are_letters() {
        assert_eq!(rows("5\" pipe,x\n\"a\"b,c"), [row(1, &["5\" pipe", "x"]), row(2, &["ab", "c"])]);
    }

    #[test]
    fn knows_semicolons_and_tabs_by_the_header() {
        assert_eq!(rows("a;b\n1,5;2"), [row(1, &["a", "b"]), row(2, &["1,5", "2"])]);
        assert_eq!(rows("a\tb\n1\t2"), [row(1, &["a", "b"]), row(2, &["1", "2"])]);
        assert_eq!(rows("\r\n\na;b\n1,5;2"), [row(3, &["a", "b"]), row(4, &["1,5", "2"])]);
        assert!(Rows::new(&b"\xff\xfea\0"[..]).is_err());
        assert_eq!(rows(""), []);
    }

    proptest! {
        #[test]
        fn reads_what_was_written(table in prop::collection::vec(prop::collection::vec("[a-c,\"\r\n; ]{0,6}", 2..4), 1..6)) {
            let text: String = table
                .iter()
                .map(|cells| {
                    let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
                    format!("{}\n", quoted.join(","))
                })
                .collect();
            let cells: Vec<Vec<String>> = rows(&text).into_iter().map(|(_, cells)| cells).collect();
            prop_assert_eq!(cells, table);
        }

        #[test]
        fn never_loses_its_way(bytes: Vec<u8>) {
            prop_assume!(!bytes.starts_with(b"\xff\xfe") && !bytes.starts_with(b"\xfe\xff"));
            let lines = line_ends(&bytes) + 1;
            prop_assert!(read(&bytes).iter().all(|(line, _)| *line <= lines));
        }
    }
}
