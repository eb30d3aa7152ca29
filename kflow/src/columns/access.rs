//! How a column's value is read from a record and put there.

use super::Column;
use crate::application::{AppProtocol, Application};
use crate::community_id::CommunityId;
use crate::record::{EndReason, FlowRecord, MacAddress, TcpState, TunnelKind};
use std::net::IpAddr;

/// The way to a column's value.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    Number {
        kind: Kind,
        /// What is printed; `None` if it is unknown.
        value: fn(&FlowRecord) -> Option<Value<'static>>,
        /// What a custom column carries; `None` if the record shall not have it.
        wire: fn(&FlowRecord) -> Option<u64>,
        /// Puts a received number into a record; `None` when no record can have it.
        set: fn(&mut FlowRecord, u64) -> Option<()>,
    },
    Address {
        get: fn(&FlowRecord) -> IpAddr,
        set: fn(&mut FlowRecord, IpAddr),
    },
    /// Computed from the record; once, if a message carries both.
    CommunityId,
    ConnectionId,
    /// Parts of the record's application, which is put together once all of them are there.
    ApplicationLatency,
    Application,
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    U8,
    U16,
    U32,
    U64,
    /// 0 or 1.
    Flag,
    Address,
    Mac,
    Text,
    EndReason,
    TcpState,
    TunnelKind,
    AppProtocol,
}

/// A value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    Address(IpAddr),
    Mac(MacAddress),
    Name(&'static str),
    CommunityId(CommunityId),
    /// Fields that have names of their own.
    Fields(&'a Application),
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::U8 => "u8",
            Kind::U16 => "u16",
            Kind::U32 => "u32",
            Kind::U64 => "u64",
            Kind::Flag => "flag",
            Kind::Address => "address",
            Kind::Mac => "mac",
            Kind::Text => "text",
            Kind::EndReason => "end reason",
            Kind::TcpState => "TCP state",
            Kind::TunnelKind => "tunnel kind",
            Kind::AppProtocol => "application protocol",
        }
    }
}

/// A field of a record that is a number, stands for one or may be unknown.
pub(super) trait Number: Copy {
    const KIND: Kind;

    fn to_number(self) -> u64;

    /// `None` when the type has no such value.
    fn from_number(number: u64) -> Option<Self>;

    /// What is printed.
    fn value(self) -> Option<Value<'static>> {
        Some(Value::Number(self.to_number()))
    }

    /// What a custom column carries. A number that is always known need not be said when it is zero.
    #[inline]
    fn wire(self) -> Option<u64> {
        let number = self.to_number();
        (number != 0).then_some(number)
    }
}

macro_rules! unsigned {
    ($($number:ty => $kind:ident),+) => {
        $(impl Number for $number {
            const KIND: Kind = Kind::$kind;

            fn to_number(self) -> u64 {
                u64::from(self)
            }

            fn from_number(number: u64) -> Option<$number> {
                number.try_into().ok()
            }
        })+
    };
}

unsigned!(u8 => U8, u16 => U16, u32 => U32, u64 => U64);

/// Numbers that have names: printed by name.
macro_rules! named {
    ($($named:ident),+) => {
        $(impl Number for $named {
            const KIND: Kind = Kind::$named;

            fn to_number(self) -> u64 {
                self as u64
            }

            fn from_number(number: u64) -> Option<$named> {
                $named::from_number(number.try_into().ok()?)
            }

            fn value(self) -> Option<Value<'static>> {
                Some(Value::Name(self.name()))
            }
        })+
    };
}

named!(EndReason, TcpState, TunnelKind, AppProtocol);

impl Number for bool {
    const KIND: Kind = Kind::Flag;

    fn to_number(self) -> u64 {
        u64::from(self)
    }

    fn from_number(number: u64) -> Option<bool> {
        (number <= 1).then_some(number == 1)
    }
}

impl Number for MacAddress {
    const KIND: Kind = Kind::Mac;

    fn to_number(self) -> u64 {
        self.to_integer()
    }

    fn from_number(number: u64) -> Option<MacAddress> {
        Some(MacAddress::from_integer(number))
    }

    fn value(self) -> Option<Value<'static>> {
        Some(Value::Mac(self))
    }
}

impl<N: Number> Number for Option<N> {
    const KIND: Kind = N::KIND;

    fn to_number(self) -> u64 {
        self.map_or(0, N::to_number)
    }

    fn from_number(number: u64) -> Option<Option<N>> {
        N::from_number(number).map(Some)
    }

    fn value(self) -> Option<Value<'static>> {
        self.and_then(N::value)
    }

    /// Zero and unknown are two things.
    #[inline]
    fn wire(self) -> Option<u64> {
        self.map(N::to_number)
    }
}

/// The kind of what a function reads, so that it need not be said beside the field.
pub(super) const fn kind_of<N: Number>(_: fn(&FlowRecord) -> N) -> Kind {
    N::KIND
}

/// A number that follows from others and is only sent.
pub(super) const fn derived(wire: fn(&FlowRecord) -> Option<u64>) -> Access {
    Access::Number { kind: Kind::U32, value: |_| None, wire, set: |_, _| Some(()) }
}

/// Access to a field by its path in the record. A macro, because a path can be neither argument nor type.
macro_rules! field {
    ($($path:ident).+) => {
        $crate::columns::access::Access::Number {
            kind: $crate::columns::access::kind_of(|record| record.$($path).+),
            value: |record| $crate::columns::access::Number::value(record.$($path).+),
            wire: |record| $crate::columns::access::Number::wire(record.$($path).+),
            set: |record, number| {
                record.$($path).+ = $crate::columns::access::Number::from_number(number)?;
                Some(())
            },
        }
    };
}

/// The same for a field that is an address.
macro_rules! address_field {
    ($($path:ident).+) => {
        $crate::columns::access::Access::Address {
            get: |record| record.$($path).+,
            set: |record, address| record.$($path).+ = address,
        }
    };
}

/// Who is shown columns one by one.
pub(crate) trait Visitor {
    fn visit(&mut self, column: &'static Column);

    /// Columns that do not apply are passed over.
    fn skip(&mut self, columns: &'static [Column]);
}

/// A part of the table, and a function that shows its columns. The function is unrolled into its caller,
/// where each column is a constant, so that the encoder reads fields without a call for each.
macro_rules! part {
    ($list:ident, $each:ident, [$($column:expr),+ $(,)?]) => {
        pub(super) const $list: &[$crate::columns::Column] = &[$($column),+];

        #[inline(always)]
        pub(super) fn $each(visitor: &mut impl $crate::columns::Visitor) {
            $(visitor.visit(const { &$column });)+
        }
    };
}

pub(super) use {address_field, field, part};
