#!/bin/sh
# Time zone, keyboard and language, each only where it was asked for.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

# made_locale NAME: locale -a writes en_US.utf8 for en_US.UTF-8.
made_locale() { locale -a 2>/dev/null | grep -Eqxi "$(printf '%s' "$1" | sed 's/UTF-8/utf-?8/')"; }

if [ -n "${PIIMAGE_TIMEZONE:-}" ]; then
  [ -e "$root/usr/share/zoneinfo/$PIIMAGE_TIMEZONE" ] || fail "this image knows no time zone $PIIMAGE_TIMEZONE"
  put_link "/usr/share/zoneinfo/$PIIMAGE_TIMEZONE" "$root/etc/localtime"
  printf '%s\n' "$PIIMAGE_TIMEZONE" | put 644 root:root "$root/etc/timezone"
fi

if [ -n "${PIIMAGE_KEYMAP:-}" ]; then
  set_line "$root/etc/default/keyboard" '^XKBLAYOUT=' "XKBLAYOUT=\"$PIIMAGE_KEYMAP\""
  # What the image has there is of its own layout.
  set_line "$root/etc/default/keyboard" '^XKBVARIANT=' "XKBVARIANT=\"${PIIMAGE_KEYMAP_VARIANT:-}\""
fi

# C and POSIX are always there; others must have been made by locale-gen.
if [ -n "${PIIMAGE_LOCALE:-}" ]; then
  case $PIIMAGE_LOCALE in
    C | C.* | POSIX) ;;
    *)
      if [ ! -e "$root/etc/locale.gen" ]; then
        say "this image has no locales; the language stays as it is"
        exit 0
      fi
      name=$(printf '%s' "$PIIMAGE_LOCALE" | sed 's/[.]/\\./g')
      if ! grep -q "^$name " "$root/etc/locale.gen"; then
        # The list knows the character set: de_DE@euro is none of UTF-8.
        line=$(sed -nE "s/^# *($name [A-Za-z0-9-]+) *$/\1/p" "$root/etc/locale.gen" | head -n 1)
        set_line "$root/etc/locale.gen" "^#? *$name " "${line:-$PIIMAGE_LOCALE UTF-8}"
      fi
      if [ -z "$root" ] && command -v locale-gen >/dev/null && ! made_locale "$PIIMAGE_LOCALE"; then locale-gen; fi
      ;;
  esac
  printf 'LANG=%s\n' "$PIIMAGE_LOCALE" | put 644 root:root "$root/etc/default/locale"
fi
