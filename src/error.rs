//! What can be wrong with a call: which argument, what was expected, what was received.

use std::fmt;

/// Why a call was refused or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// An array whose shape does not fit the others.
    Shape {
        /// The argument's name.
        argument: &'static str,
        /// The shape that would have fitted, in words.
        expected: String,
        /// The shape that was given.
        received: String,
    },
    /// An option or array with a value that is not accepted here.
    Value {
        /// The argument's name.
        argument: &'static str,
        /// What would have been accepted.
        expected: String,
        /// What was given.
        received: String,
    },
    /// Memory that could not be reserved, in bytes; `usize::MAX` if the size cannot be expressed.
    Memory(usize),
    /// Residuals that a consuming backward pass has used up.
    Consumed,
    /// The caller asked to stop.
    Interrupted,
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An argument whose shape was refused.
    pub fn shape(
        argument: &'static str,
        expected: impl fmt::Debug,
        received: impl fmt::Debug,
    ) -> Self {
        Self::Shape {
            argument,
            expected: format!("{expected:?}"),
            received: format!("{received:?}"),
        }
    }

    /// An argument whose value was refused.
    pub fn value(
        argument: &'static str,
        expected: impl Into<String>,
        received: impl fmt::Debug,
    ) -> Self {
        Self::Value { argument, expected: expected.into(), received: format!("{received:?}") }
    }

    /// An argument of another kind than was expected, both told in words.
    pub fn kind(
        argument: &'static str,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) -> Self {
        Self::Value { argument, expected: expected.into(), received: received.into() }
    }
}

/// Fails unless an array has the shape that it must have.
pub(crate) fn expect_shape(
    argument: &'static str,
    expected: [usize; 3],
    received: [usize; 3],
) -> Result<()> {
    if expected == received { Ok(()) } else { Err(Error::shape(argument, expected, received)) }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { argument, expected, received } => {
                write!(f, "`{argument}`: expected shape {expected}, received {received}")
            }
            Self::Value { argument, expected, received } => {
                write!(f, "`{argument}`: expected {expected}, received {received}")
            }
            Self::Memory(usize::MAX) => {
                write!(f, "could not reserve memory: the size does not fit in an address")
            }
            Self::Memory(bytes) => write!(f, "could not reserve {bytes} bytes"),
            Self::Consumed => write!(
                f,
                "`residuals`: expected unused residuals, received those that a backward pass with \
                 `consume=True` has used up"
            ),
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for Error {}
