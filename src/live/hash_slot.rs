//! Hash slot: the slot of a key in a Redis Cluster, CRC-16 (XMODEM) modulo 16384.
//!
//! Owns the arithmetic. Must never be given a key with braces: Redis would hash only the part between them, and our
//! keys have none.

use std::io;

const POLYNOMIAL: u16 = 0x1021;
const SLOTS: u16 = 16_384;
const TABLE: [u16; 256] = table();

/// Takes a key piece by piece, and computes its slot.
#[derive(Default)]
pub(super) struct HashSlot(u16);

impl HashSlot {
    /// The slot of the bytes written so far.
    pub(super) fn slot(&self) -> u16 {
        self.0 % SLOTS
    }
}

impl io::Write for HashSlot {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            let [high, low] = self.0.to_be_bytes();
            let step = TABLE.get(usize::from(high ^ byte)).copied().unwrap_or_default();
            self.0 = (u16::from(low) << 8) ^ step;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "computed while compiling")]
const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn slot(key: &str) -> u16 {
        let mut slot = HashSlot::default();
        slot.write_all(key.as_bytes()).unwrap();
        slot.slot()
    }

    /// The answers of Redis 7.0.15 to `CLUSTER KEYSLOT`, and the check value of the specification.
    #[test]
    fn slots_are_those_of_redis() {
        let mut whole = HashSlot::default();
        whole.write_all(b"123456789").unwrap();
        assert_eq!(whole.0, 0x31C3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("bar"), 5_061);
        assert_eq!(slot(""), 0);
    }
}
