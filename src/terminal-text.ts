/**
 * Text that others chose (file names, volume labels, DHCP logs, answers of
 * servers) on its way to a terminal. Characters that command a terminal, turn
 * text around or cannot be seen are spelled out as `\u001b`, never dropped:
 * two names that differ look different.
 */

/** Controls (C0, DEL, C1), format and bidirectional controls, line separators, half surrogates, everything of no width. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu

function spellOut(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16)
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`
}

/** One line, with nothing in it that a terminal acts on. */
export const quoteLine = (text: string): string => text.replace(unseen, spellOut)

/** As `quoteLine`, of a text whose newlines and tabs are our own. */
export const quoteText = (text: string): string =>
  text.replace(unseen, (character) =>
    character === '\n' || character === '\t' ? character : spellOut(character),
  )

/** JSON that means the same and is safe to show: what JSON.stringify leaves as it is stands in strings only. */
export const quoteJson = (json: string): string =>
  json.replace(unseen, (character) =>
    Array.from({ length: character.length }, (_, index) => spellOut(character.charAt(index))).join(''),
  )
