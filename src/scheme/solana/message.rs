//! Messages of Solana transactions, version 0, without address lookup tables.
//!
//! Owns the layout: which accounts there are, in which order, and how instructions point at them. Must not know offers.
//! Accounts of a kind are sorted by their bytes, as Solana's own library does; official clients in other languages sort
//! them otherwise, which gives the same transaction with another signature.

use crate::money::SolanaAddress;
use std::cmp::Reverse;
use zeroize::Zeroizing;

pub const SIGNATURE_BYTES: usize = 64;
/// The most that a validator accepts: an IPv6 packet of the smallest allowed size, less its headers.
pub const TRANSACTION_BYTES_MAX: usize = 1232;

/// The first byte of a message of version 0.
const VERSION_0: u8 = 0x80;
/// Accounts are pointed at by one byte, and this many leave no room for anything else.
const ACCOUNTS_MAX: usize = 64;

/// An account as an instruction uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub address: SolanaAddress,
    pub signs: bool,
    pub is_written: bool,
}

impl Account {
    pub fn read(address: SolanaAddress) -> Account {
        Account { address, signs: false, is_written: false }
    }

    pub fn written(address: SolanaAddress) -> Account {
        Account { address, signs: false, is_written: true }
    }

    pub fn signing(self) -> Account {
        Account { signs: true, ..self }
    }
}

/// One call of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub program: SolanaAddress,
    pub accounts: Vec<Account>,
    pub data: Vec<u8>,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
    /// Who must sign, in the order of the signatures; the fee payer first.
    signers: Vec<SolanaAddress>,
}

impl Message {
    /// Lays out `instructions`. An account that occurs more than once gets every right that it has anywhere. `None`:
    /// more accounts or data than a transaction holds.
    pub fn compile(fee_payer: SolanaAddress, blockhash: &[u8; 32], instructions: &[Instruction]) -> Option<Message> {
        let accounts = sorted_accounts(fee_payer, instructions);
        if accounts.len() > ACCOUNTS_MAX {
            return None;
        }
        let count = |kind: fn(&Account) -> bool| accounts.iter().filter(|account| kind(account)).count() as u8;
        let mut bytes = Vec::with_capacity(TRANSACTION_BYTES_MAX);
        bytes.extend([
            VERSION_0,
            count(|account| account.signs),
            count(|account| account.signs && !account.is_written),
            count(|account| !account.signs && !account.is_written),
        ]);
        put_length(&mut bytes, accounts.len())?;
        accounts.iter().for_each(|account| bytes.extend(account.address.bytes()));
        bytes.extend(blockhash);
        put_length(&mut bytes, instructions.len())?;
        let place = |address: &SolanaAddress| accounts.iter().position(|account| account.address == *address);
        for instruction in instructions {
            bytes.push(u8::try_from(place(&instruction.program)?).ok()?);
            put_length(&mut bytes, instruction.accounts.len())?;
            for account in &instruction.accounts {
                bytes.push(u8::try_from(place(&account.address)?).ok()?);
            }
            put_length(&mut bytes, instruction.data.len())?;
            bytes.extend(&instruction.data);
        }
        // No lookup tables.
        put_length(&mut bytes, 0)?;
        let signers: Vec<_> = accounts.iter().filter(|account| account.signs).map(|account| account.address).collect();
        let wire_bytes = 1 + signers.len() * SIGNATURE_BYTES + bytes.len();
        (wire_bytes <= TRANSACTION_BYTES_MAX).then_some(Message { bytes, signers })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn signers(&self) -> &[SolanaAddress] {
        &self.signers
    }

    /// The transaction with the signature of one signer; the places of the others are zeros. `None`: `signer` is none
    /// of them.
    pub fn signed_by(&self, signer: &SolanaAddress, signature: &[u8; SIGNATURE_BYTES]) -> Option<Zeroizing<Vec<u8>>> {
        let place = self.signers.iter().position(|address| address == signer)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(TRANSACTION_BYTES_MAX));
        put_length(&mut bytes, self.signers.len())?;
        for at in 0..self.signers.len() {
            bytes.extend(if at == place { signature } else { &[0; SIGNATURE_BYTES] });
        }
        bytes.extend(&self.bytes);
        Some(bytes)
    }
}

/// Every account once: the fee payer, then who signs, each group's written ones first, and then by bytes.
fn sorted_accounts(fee_payer: SolanaAddress, instructions: &[Instruction]) -> Vec<Account> {
    let mut accounts: Vec<Account> = vec![Account::written(fee_payer).signing()];
    let mut add = |used: Account| match accounts.iter_mut().find(|known| known.address == used.address) {
        Some(known) => {
            known.signs |= used.signs;
            known.is_written |= used.is_written;
        }
        None => accounts.push(used),
    };
    for instruction in instructions {
        add(Account::read(instruction.program));
        instruction.accounts.iter().for_each(|account| add(*account));
    }
    accounts.sort_by_key(|account| {
        let group = Reverse((account.address == fee_payer, account.signs, account.is_written));
        (group, account.address)
    });
    accounts
}

/// A length as Solana writes it (compact-u16): seven bits a byte, the lowest first. `None` above 65535.
fn put_length(out: &mut Vec<u8>, length: usize) -> Option<()> {
    let mut rest = u16::try_from(length).ok()?;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(byte: u8) -> SolanaAddress {
        SolanaAddress::from_bytes([byte; 32])
    }

    #[test]
    fn lengths_take_seven_bits_a_byte() {
        for (length, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (65535, &[0xff, 0xff, 3])] {
            let mut out = Vec::new();
            put_length(&mut out, length).unwrap();
            assert_eq!(out, bytes);
        }
        assert_eq!(put_length(&mut Vec::new(), 65536), None);
    }

    #[test]
    fn what_no_validator_accepts_is_not_made() {
        let with = |data: usize, accounts: u8| {
            let accounts = (0..accounts).map(|byte| Account::read(address(byte + 10))).collect();
            let instruction = Instruction { program: address(1), accounts, data: vec![0; data] };
            Message::compile(address(2), &[0; 32], &[instruction])
        };
        // 1 + 64 for the signature; 4, 1 + 64 for two accounts, 32, 1, 1, 1, 2 for the length, 1.
        let room = TRANSACTION_BYTES_MAX - 65 - 107;
        assert!(with(room, 0).is_some() && with(room + 1, 0).is_none());
        assert!(with(0, 30).is_some() && with(0, 40).is_none() && with(0, 200).is_none());
    }

    #[test]
    fn a_signature_stands_where_its_signer_does_and_nowhere_else() {
        let accounts = vec![Account::read(address(1)).signing(), Account::written(address(3))];
        let instruction = Instruction { program: address(4), accounts, data: vec![7] };
        let message = Message::compile(address(2), &[0; 32], &[instruction]).unwrap();
        assert_eq!(message.signers(), [address(2), address(1)]);
        let bytes = message.signed_by(&address(1), &[9; 64]).unwrap();
        assert_eq!(
            (&bytes[..65], &bytes[65..129], &bytes[129..]),
            (&[&[2][..], &[0; 64]].concat()[..], &[9; 64][..], message.bytes())
        );
        assert_eq!(message.signed_by(&address(3), &[9; 64]), None);
    }
}
