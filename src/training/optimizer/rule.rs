//! The rules by which weights move: their equations and numbers.

/// How weights move.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// No weight moves: the gradient goes to a slot, for whoever makes the update.
    Handed,
    /// `w -= rate g`
    Descent {
        /// The learning rate.
        rate: f64,
    },
    /// `m = momentum m - rate g`, then `w += m` or, with Nesterov's, `w += momentum m - rate g`.
    Momentum {
        /// The learning rate.
        rate: f64,
        /// The part of the last step that goes on.
        momentum: f64,
        /// Whether to look ahead.
        nesterov: bool,
    },
    /// `m += (g - m)(1 - beta_1)`, `v += (g² - v)(1 - beta_2)`, `w -= rate m / (sqrt(v) + epsilon)`
    /// (Kingma and Ba, 2014), the bias corrections folded into `rate`.
    Adam {
        /// The corrected learning rate.
        rate: f64,
        /// Decay of the momentum and of the velocity.
        betas: [f64; 2],
        /// Added to the root.
        epsilon: f64,
        /// Whether the largest `v` so far stands for `v`.
        amsgrad: bool,
    },
    /// `m` and `v` as in `Adam`, `w -= (rate m + ahead g) / (sqrt(v / correction) + epsilon)`
    /// (Dozat, 2016), the momentum's schedule folded into `rate` and `ahead`.
    Nadam {
        /// What the momentum is multiplied by.
        rate: f64,
        /// What the gradient is multiplied by.
        ahead: f64,
        /// What the velocity is divided by.
        correction: f64,
        /// Decay of the momentum and of the velocity.
        betas: [f64; 2],
        /// Added to the root.
        epsilon: f64,
    },
    /// `v += (g² - v)(1 - rho)`, `d = rate g / sqrt(v + epsilon)` (Tieleman and Hinton, 2012), where
    /// `v` is less the square of `a += (g - a)(1 - rho)` if centered; `w -= d` or, with momentum,
    /// `m = momentum m + d` and `w -= m`.
    MeanSquare {
        /// The learning rate.
        rate: f64,
        /// Decay of the means.
        rho: f64,
        /// The part of the last step that goes on.
        momentum: f64,
        /// Added to the mean square.
        epsilon: f64,
        /// Whether the variance stands for the mean square.
        centered: bool,
    },
}

impl Rule {
    /// How many numbers change from step to step, see [`Rule::at`].
    #[must_use]
    pub fn rates(self) -> usize {
        if matches!(self, Self::Nadam { .. }) { 3 } else { 1 }
    }

    /// The same rule with other rates: the learning rate, for `Nadam` what stands beside it as well.
    #[must_use]
    pub fn at(self, [rate, ahead, correction]: [f64; 3]) -> Self {
        match self {
            Self::Nadam { betas, epsilon, .. } => {
                Self::Nadam { rate, ahead, correction, betas, epsilon }
            }
            Self::Handed => self,
            Self::Descent { .. } => Self::Descent { rate },
            Self::Momentum { momentum, nesterov, .. } => {
                Self::Momentum { rate, momentum, nesterov }
            }
            Self::Adam { betas, epsilon, amsgrad, .. } => {
                Self::Adam { rate, betas, epsilon, amsgrad }
            }
            Self::MeanSquare { rho, momentum, epsilon, centered, .. } => {
                Self::MeanSquare { rate, rho, momentum, epsilon, centered }
            }
        }
    }

    /// The number of slots that are used.
    #[must_use]
    pub fn slots(self) -> usize {
        match self {
            Self::Descent { .. } => 0,
            Self::Momentum { .. } | Self::Handed => 1,
            Self::Nadam { .. } => 2,
            Self::Adam { amsgrad, .. } => 2 + usize::from(amsgrad),
            Self::MeanSquare { momentum, centered, .. } => {
                1 + usize::from(momentum != 0.0) + usize::from(centered)
            }
        }
    }
}
