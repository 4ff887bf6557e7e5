#!/bin/sh
# ganger-protocol.sh LOWDOWN PROTOCOL.md VERSION: prints the manual page that PROTOCOL.md is, for `meson compile`.
#
# A manual page begins with a name; its parts are a level above where they stand in the document. Tables are not
# adjusted: their columns are narrow.
set -eu
{
        printf '# NAME\n\nganger-protocol - how clients, gangerd, its fork servers and workers speak to each other\n\n# DESCRIPTION\n'
        sed -e '1d' -e 's/^##\(#*\) /#\1 /' "$2"
} | "$1" -s -Tman --parse-no-super --nroff-no-groff -mtitle=ganger-protocol -msection=7 -msource="ganger $3" |
        sed -e '/^\.TH /a .nh\n.ad l'
