//! Mathematics that cells share: elementary functions, the register tile, packed operands.

pub mod activation;
pub mod add_product;
pub mod cuts;
pub mod elementary;
pub mod int8;
pub mod long_product;
pub mod pack;
pub mod product;
pub mod row_function;
pub mod tile;
