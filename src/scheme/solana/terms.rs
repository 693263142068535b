//! What every offer on Solana says, checked, and what a token is.
//!
//! Owns the reading of the members that the schemes share. Must not know what is signed. Its one decision: an offer's
//! hint of a blockhash is taken only together with a mint of the built-in table. A transaction names no cluster; the
//! blockhash alone binds it to one. With a mint that is found on several clusters, such as wrapped SOL, an offer "on
//! devnet" with a blockhash of the main network would be a payment there. Then node and blockhash are the caller's.

use super::program;
use crate::error::printable;
use crate::money::{KnownAsset, SolanaAddress, known_asset, known_elsewhere};
use crate::protocol::Offer;
use crate::scheme::{Facts, Need};
use serde_json::Value;

/// The longest `extra.memo` (x402 `exact` on Solana).
const MEMO_BYTES_MAX: usize = 256;

/// An offer whose members are of the right kind.
pub(super) struct Terms<'a> {
    pub payee: SolanaAddress,
    pub mint: SolanaAddress,
    pub fee_payer: SolanaAddress,
    pub amount: u64,
    /// What the server wants to be written beside the transfer.
    memo: Option<&'a str>,
    known: Option<Token>,
    blockhash: Option<[u8; 32]>,
    /// `extra.tokenProgram` and `extra.decimals`, which must not contradict what is known.
    stated: (Option<SolanaAddress>, Option<u64>),
}

/// What a transfer must say of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub program: SolanaAddress,
    pub decimals: u8,
}

impl<'a> Terms<'a> {
    /// Checks `offer`; the error begins with the name of the field in the way.
    pub fn read(offer: &'a Offer) -> Result<Terms<'a>, String> {
        let amount = offer.amount.to_u64();
        let amount =
            amount.ok_or_else(|| format!("amount is {}, more than a token on Solana can count", offer.amount))?;
        let known = known_asset(&offer.network, &offer.asset);
        if known.is_none()
            && let Some(asset) = known_elsewhere(&offer.network, &offer.asset)
        {
            return Err(format!("asset is {} of {}, and not of {}", asset.symbol, asset.network, offer.network));
        }
        let known = known.map(Token::of_table).transpose()?;
        let terms = Terms {
            payee: address("payTo", &offer.payee)?,
            mint: address("asset", &offer.asset)?,
            fee_payer: extra_address(offer, "feePayer")?
                .ok_or("extra.feePayer is missing, but it must sign as well")?,
            amount,
            memo: memo(offer)?,
            known,
            blockhash: optional_text(offer, "recentBlockhash")?
                .and_then(|text| SolanaAddress::parse(text).ok())
                .filter(|_| known.is_some())
                .map(|hash| *hash.bytes()),
            stated: (extra_address(offer, "tokenProgram")?, extra_number(offer, "decimals")?),
        };
        terms.known.map_or(Ok(()), |token| terms.agree(token))?;
        Ok(terms)
    }

    /// Refuses the few payers with whom the payment would be another one.
    pub fn check_payer(&self, payer: &SolanaAddress) -> Result<(), String> {
        if self.payee == *payer {
            return Err("payTo is the payer itself, to whom nothing is paid".into());
        }
        if self.fee_payer == *payer {
            return Err("extra.feePayer is the payer, but whoever settles must pay the fee".into());
        }
        Ok(())
    }

    /// What a node must be asked.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if self.known.is_none() {
            needs.push(self.mint_need());
        }
        if self.blockhash.is_none() {
            needs.push(Need::SolanaBlockhash);
        }
        needs
    }

    fn mint_need(&self) -> Need {
        Need::SolanaMint(self.mint.to_string())
    }

    pub fn known_token(&self) -> Option<Token> {
        self.known
    }

    /// The token, from the table or else from a node.
    pub fn token(&self, facts: &Facts) -> Result<Token, String> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        let fact = facts.get(&self.mint_need()).ok_or("asset is not in the built-in table, and no node told of it")?;
        let both = fact.split_once(' ').and_then(|(owner, decimals)| {
            Some(Token { program: SolanaAddress::parse(owner).ok()?, decimals: decimals.parse().ok()? })
        });
        let token = both.ok_or_else(|| format!("asset is told to be {:?} by the node", printable(fact)))?;
        if ![program::TOKEN, program::TOKEN_2022].contains(&token.program) {
            return Err(format!("asset belongs to {}, which is neither token program", token.program));
        }
        self.agree(token)?;
        Ok(token)
    }

    /// A server that states something else than what is known of a token means another token.
    fn agree(&self, token: Token) -> Result<(), String> {
        match self.stated {
            (Some(stated), _) if stated != token.program => {
                Err(format!("extra.tokenProgram is {stated}, but the asset belongs to {}", token.program))
            }
            (_, Some(stated)) if stated != u64::from(token.decimals) => {
                Err(format!("extra.decimals is {stated}, but the asset has {}", token.decimals))
            }
            _ => Ok(()),
        }
    }

    pub fn blockhash(&self, facts: &Facts) -> Result<[u8; 32], String> {
        if let Some(hint) = self.blockhash {
            return Ok(hint);
        }
        let fact = facts.get(&Need::SolanaBlockhash).ok_or("extra.recentBlockhash is missing, and no node gave one")?;
        let hash = SolanaAddress::parse(fact).map_err(|why| format!("the node's blockhash {why}"))?;
        Ok(*hash.bytes())
    }

    /// The server's memo, or else 16 random bytes in hexadecimal, which make two equal payments two transactions.
    pub fn memo(&self, random: &[u8; 16]) -> Vec<u8> {
        match self.memo {
            Some(text) => text.as_bytes().to_vec(),
            None => alloy_primitives::hex::encode(random).into_bytes(),
        }
    }
}

impl Token {
    fn of_table(asset: &KnownAsset) -> Result<Token, String> {
        let program = SolanaAddress::parse(asset.token_program).map_err(|why| format!("asset's program {why}"))?;
        Ok(Token { program, decimals: asset.decimals })
    }
}

pub(super) fn optional_text<'a>(offer: &'a Offer, field: &str) -> Result<Option<&'a str>, String> {
    match extra(offer, field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("extra.{field} is not a string")),
    }
}

/// A whole number that is not negative, as JSON's number.
pub(super) fn extra_number(offer: &Offer, field: &str) -> Result<Option<u64>, String> {
    match extra(offer, field) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(format!("extra.{field} is {}, but must be a whole number", printable(&value.to_string()))),
        },
    }
}

pub(super) fn extra_address(offer: &Offer, field: &str) -> Result<Option<SolanaAddress>, String> {
    let named = |why| format!("extra.{field} {why}");
    optional_text(offer, field)?.map(|text| unnamed_address(text).map_err(named)).transpose()
}

/// A member that is there and not null.
fn extra<'a>(offer: &'a Offer, field: &str) -> Option<&'a Value> {
    // A handful of members are compared sooner than one name is hashed.
    offer.extra.iter().find(|(name, _)| *name == field).map(|(_, value)| value).filter(|value| !value.is_null())
}

fn address(field: &str, text: &str) -> Result<SolanaAddress, String> {
    unnamed_address(text).map_err(|why| format!("{field} {why}"))
}

/// The error is the rest of a sentence that begins with the field's name.
fn unnamed_address(text: &str) -> Result<SolanaAddress, String> {
    let address = SolanaAddress::parse(text)?;
    if address.is_zero() {
        return Err("is the System program, whose key nobody holds".into());
    }
    Ok(address)
}

/// An empty memo is none: official clients write a random one instead.
fn memo(offer: &Offer) -> Result<Option<&str>, String> {
    let memo = optional_text(offer, "memo")?.filter(|text| !text.is_empty());
    match memo {
        Some(text) if text.len() > MEMO_BYTES_MAX => {
            Err(format!("extra.memo has {} bytes, but at most {MEMO_BYTES_MAX}", text.len()))
        }
        memo => Ok(memo),
    }
}
