"""The one address that a card may send from: a network filter of our own on each host.

libvirt keeps it at the guest's side of the cable: frames from another MAC, IPv4 and ARP from
another address, and everything that is neither, are dropped.  The question for an address (DHCP)
passes, so that a guest that asks for its own is given it.
"""

from __future__ import annotations

from typing import Any

import libvirt

from ovcadmin.drivers.hypervisor import xml
from ovcadmin.drivers.hypervisor.base import NicSpec

Conn = Any
Domain = Any

DEFINITION = f"""
<filter name="{xml.ADDRESS_FILTER}" chain="root">
  <uuid>7f0c1d0e-3c5b-4e0a-9d51-2f6f0b8a7c11</uuid>
  <rule action="drop" direction="out" priority="100">
    <mac match="no" srcmacaddr="$MAC"/>
  </rule>
  <rule action="accept" direction="out" priority="200">
    <ip srcipaddr="0.0.0.0" dstipaddr="255.255.255.255" protocol="udp"
        srcportstart="68" dstportstart="67"/>
  </rule>
  <rule action="accept" direction="out" priority="300"><ip srcipaddr="$IP"/></rule>
  <rule action="accept" direction="out" priority="300">
    <arp arpsrcmacaddr="$MAC" arpsrcipaddr="$IP"/>
  </rule>
  <rule action="drop" direction="out" priority="900"><mac/></rule>
</filter>
"""
"""With an id of its own it may be defined again and again."""


def prepare(conn: Conn, definition: str) -> None:
    """Put the filter on a host that is to have a domain with it."""
    if f'"{xml.ADDRESS_FILTER}"' in definition.replace("'", '"'):
        conn.nwfilterDefineXML(DEFINITION)


def hold(conn: Conn, domain: Domain, nic: NicSpec) -> None:
    """Hold the card of a running guest to its address, or to none any more."""
    cards = xml.read(domain.XMLDesc()).iterfind("devices/interface")
    card = next(one for one in cards if one.find("mac").get("address") == nic.mac)
    if xml.held_address(card) == nic.address:
        return
    xml.hold_address(card, nic.address)
    text = xml.text_of(card)
    prepare(conn, text)
    domain.updateDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_LIVE)
