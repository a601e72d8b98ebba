#!/bin/sh
# Run in a Debian container: makes a signed apt repository with HAProxy packages that have higher versions than Debian's.
# They are Debian's own, packed anew: one with a program that says the new version, one whose program refuses every configuration.
# Usage: repository.sh FOLDER; prints the two versions. The key is FOLDER/key.asc.
set -eu

folder=$1
umask 022
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get -qq update
apt-get -qq install -y --no-install-recommends apt-utils dpkg-dev gpg gpg-agent >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$folder"
mkdir -p "$folder/good" "$folder/bad"
cd "$work"
chown _apt: .
apt-get -qq download haproxy
version=$(dpkg-deb -f haproxy_*.deb Version)
dpkg-deb -R haproxy_*.deb package

# As long as Debian's, since the program has it at a fixed place.
good=$(echo "$version" | sed 's/-1/-9/')
sed -i "s/^Version: .*/Version: $good/" package/DEBIAN/control
sed -i "s/$version/$good/g" package/usr/sbin/haproxy
chmod 0755 package/usr/sbin/haproxy
dpkg-deb -Znone -b package "$folder/good" >/dev/null

bad=${good}+bad1
sed -i "s/^Version: .*/Version: $bad/" package/DEBIAN/control
printf '#!/bin/sh\necho "HAProxy version %s"\ncase " $* " in *" -c "*) echo "this program refuses everything"; exit 1 ;; esac\n' "$bad" \
    > package/usr/sbin/haproxy
dpkg-deb -Znone -b package "$folder/bad" >/dev/null

export GNUPGHOME="$work/gnupg"
mkdir -m 0700 "$GNUPGHOME"
for name in key other; do
    gpg --batch --quiet --passphrase '' --quick-generate-key "$name@lab.invalid" rsa3072 sign never
    gpg --batch --quiet --armor --export "$name@lab.invalid" > "$folder/$name.asc"
done
for suite in good bad; do
    (
        cd "$folder"
        apt-ftparchive packages "$suite" > "$suite/Packages"
        cd "$suite"
        apt-ftparchive -o APT::FTPArchive::Release::Origin=lab -o "APT::FTPArchive::Release::Suite=$suite" release . > Release.new
        mv Release.new Release
        gpg --batch --quiet --local-user key@lab.invalid --clearsign --output InRelease Release
    )
done
gpgconf --kill all

# The source that Debian built them of, from the release: the archive of security updates doesn't keep all of its own.
sed -n "/security/!s/^deb /deb-src /p" /etc/apt/sources.list > source.list
set -- -o "Dir::Etc::SourceList=$work/source.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/lists"
mkdir -p "$work/lists/partial"
chmod 0755 "$work"
apt-get -qq update "$@"
uri=$(apt-get source "$@" --print-uris haproxy | sed -n "s/^.\([^ ]*orig.tar.gz\). .*/\1/p")
/usr/lib/apt/apt-helper -qq download-file "$uri" haproxy.tar.gz
cp haproxy.tar.gz "$folder"
echo "$good $bad"
