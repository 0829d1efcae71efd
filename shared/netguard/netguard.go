// Package netguard is the one dialer for every outbound connection that is made on a user's behalf.
//
// It checks the address that is really dialled, after every resolution, so that no spelling of a host and no answer of a
// name server leads to a network that is not public, unless the installation's AllowedNetworks names it.
package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

const dialTimeout = 10 * time.Second

// Policy says which networks may be dialled besides the public ones. Its zero value allows public addresses alone.
type Policy struct {
	Allowed  []netip.Prefix
	Resolver *net.Resolver // nil is the system's
}

// RefusedError is the refusal of an address. It does not say which address a name led to: that would tell a stranger
// about the network that Swell runs in.
type RefusedError struct {
	Reason string
}

func (e *RefusedError) Error() string {
	return "refused: the address is " + e.Reason + " and lies in none of the installation's AllowedNetworks"
}

// ErrorName is the error's name in state machines.
func (e *RefusedError) ErrorName() string { return "AddressRefused" }

// Refused says whether err's chain has the refusal of an address.
func Refused(err error) bool {
	_, ok := errors.AsType[*RefusedError](err)
	return ok
}

// Parse reads AllowedNetworks: prefixes or single addresses, separated by commas; none if empty.
func Parse(csv string) (Policy, error) {
	var p Policy
	for field := range strings.SplitSeq(csv, ",") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		prefix, err := parsePrefix(field)
		if err != nil {
			return Policy{}, fmt.Errorf("reading the allowed network %q: %w", field, err)
		}
		p.Allowed = append(p.Allowed, prefix)
	}
	return p, nil
}

// UnmarshalText is Parse, for settings.
func (p *Policy) UnmarshalText(text []byte) (err error) {
	*p, err = Parse(string(text))
	return err
}

// String is what Parse reads.
func (p Policy) String() string {
	prefixes := make([]string, len(p.Allowed))
	for i, prefix := range p.Allowed {
		prefixes[i] = prefix.String()
	}
	return strings.Join(prefixes, ",")
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		addr = addr.WithZone("").Unmap()
		return addr.Prefix(addr.BitLen())
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, errors.New("an IPv4 network is written as IPv4")
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("bits are set beyond the prefix; %s is meant?", prefix.Masked())
	}
	return prefix, nil
}

// Dialer is a net.Dialer that refuses at the last moment, when the address is known and the connection not yet open.
func (p Policy) Dialer() *net.Dialer {
	return p.dialer(p.Check)
}

// DialContext is for a transport. It differs from Dialer().DialContext in the text of a refusal alone: net.Dialer would put
// the address before it.
func (p Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return p.dial(p.Check)(ctx, network, address)
}

func (p Policy) dial(check func(netip.Addr) error) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := p.dialer(check).DialContext(ctx, network, address)
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			return nil, refused
		}
		return conn, err
	}
}

func (p Policy) dialer(check func(netip.Addr) error) *net.Dialer {
	return &net.Dialer{
		Timeout:   dialTimeout,
		KeepAlive: 30 * time.Second,
		Resolver:  p.Resolver,
		Control: func(network, address string, _ syscall.RawConn) error {
			if network != "tcp4" && network != "tcp6" {
				return &RefusedError{Reason: "not for TCP"}
			}
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return &RefusedError{Reason: "unreadable"}
			}
			return check(at.Addr())
		},
	}
}

// Check refuses an address that is neither public nor allowed.
func (p Policy) Check(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	if p.allows(addr) {
		return nil
	}
	if reason := special(addr); reason != "" {
		return &RefusedError{Reason: reason}
	}
	return nil
}

// checkPlain is Check for a connection without TLS: only what is allowed by name.
func (p Policy) checkPlain(addr netip.Addr) error {
	if p.allows(addr.WithZone("").Unmap()) {
		return nil
	}
	return &RefusedError{Reason: "asked for over plain http"}
}

func (p Policy) allows(addr netip.Addr) bool {
	return slices.ContainsFunc(p.Allowed, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// ranges are IANA's special-purpose registries, the ones that are globally reachable left out, with the old transition
// mechanisms added: an IPv6 address that carries an IPv4 one would be a way around the list.
var ranges = []struct {
	prefix netip.Prefix
	reason string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "of this host"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by a carrier"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("64:ff9b::/96"), "translated (NAT64)"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "translated (NAT64)"},
	{netip.MustParsePrefix("2001::/23"), "reserved"},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "tunnelled (6to4)"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

var global6 = netip.MustParsePrefix("2000::/3")

// special says why an address is not public; empty if it is.
func special(addr netip.Addr) string {
	if !addr.IsValid() {
		return "invalid"
	}
	for _, r := range ranges {
		if r.prefix.Contains(addr) {
			return r.reason
		}
	}
	if addr.Is6() && !global6.Contains(addr) {
		return "reserved"
	}
	return ""
}
