//! The file that is imported.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read},
    path::PathBuf,
    sync::Arc,
};

use flate2::read::MultiGzDecoder;
use kernel::Result;

use crate::products::unreadable;

/// The most that a packed file may unpack to, where strangers may have packed it.
const UNPACKED: u64 = 1 << 30;

/// Where the file is.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Named on the command line: of any size.
    Disk(PathBuf),
    Memory(Arc<[u8]>),
}

impl Source {
    /// The file from its beginning, unpacked where it is gzip.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>> {
        self.open_within(UNPACKED).map_err(unreadable)
    }

    fn open_within(&self, most: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut magic = Vec::new();
        self.raw()?.take(2).read_to_end(&mut magic)?;
        let file = self.raw()?;
        Ok(match self {
            _ if magic != [0x1f, 0x8b] => file,
            Self::Disk(_) => Box::new(MultiGzDecoder::new(file)),
            Self::Memory(_) => Box::new(Bounded { input: MultiGzDecoder::new(file), left: most }),
        })
    }

    fn raw(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Disk(path) => Box::new(BufReader::with_capacity(1 << 18, File::open(path)?)),
            Self::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        })
    }
}

/// Fails where there is more than `left`: a file that merely ended there would be taken for all of it.
struct Bounded<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it unpacks to more than 1 GiB; upload it in parts, or import it on the command line",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::products::Survey;

    #[test]
    fn a_packed_file_is_read_whole_or_not_at_all() {
        let text = "Title,Price\nLamp,5\nRug,6\n";
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let memory = Source::Memory(Arc::from(packed.as_slice()));
        let most = text.len() as u64;
        assert_eq!(Survey::of(memory.open_within(most).unwrap()).unwrap().rows, 2);
        // Cut behind a row it would look like a shorter file.
        for most in [most - 1, "Title,Price\nLamp,5\n".len() as u64] {
            let cut = Survey::of(memory.open_within(most).unwrap()).unwrap_err();
            assert!(cut.is(kernel::code::INVALID) && cut.message().contains("more than"), "{cut:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.csv.gz");
        std::fs::write(&path, packed).unwrap();
        assert_eq!(Survey::of(Source::Disk(path).open_within(1).unwrap()).unwrap().rows, 2);
    }
}
