/**
 * Keyboards: layouts and their variants as X and the console of Debian name them.
 *
 * Source: rules/base.lst of xkb-data 2.35.1 (Debian 12); keyboard(5). Names of console
 * keymaps: kbd, data/keymaps/i386.
 */
import { nearest } from '../../nearest.ts'

const layouts = new Map<string, string[]>()
let last: string[] = []
for (const word of `
af: ps uz ps-olpc fa-olpc uz-olpc al: plisi veqilharxhi am: phonetic phonetic-alt eastern western eastern-alt ara:
azerty azerty_digits digits qwerty qwerty_digits buckwalter olpc mac at: nodeadkeys mac au: az: cyrillic ba:
alternatequotes unicode unicodeus us bd: probhat be: oss oss_latin9 iso-alternate nodeadkeys wang bg: phonetic
bas_phonetic bekl br: nodeadkeys dvorak nativo nativo-us nativo-epo thinkpad brai: left_hand left_hand_invert
right_hand right_hand_invert bt: bw: by: legacy latin ru intl ca: fr-dvorak fr-legacy multix multi multi-2gr ike eng
cd: ch: legacy de_nodeadkeys fr fr_nodeadkeys fr_mac de_mac cm: french qwerty azerty dvorak mmuock cn: mon_trad
mon_trad_todo mon_trad_xibe mon_trad_manchu mon_trad_galik mon_todo_galik mon_manchu_galik tib tib_asciinum ug
altgr-pinyin cz: bksl qwerty qwerty_bksl qwerty-mac ucw dvorak-ucw rus de: deadacute deadgraveacute nodeadkeys e1 e2
T3 us ro ro_nodeadkeys dvorak neo mac mac_nodeadkeys dsb dsb_qwertz qwerty tr ru deadtilde dk: nodeadkeys winkeys
mac mac_nodeadkeys dvorak dz: azerty-deadkeys qwerty-gb-deadkeys qwerty-us-deadkeys ber ar ee: nodeadkeys dvorak us
epo: legacy es: nodeadkeys winkeys deadtilde dvorak ast cat mac et: fi: winkeys classic nodeadkeys smi mac fo:
nodeadkeys fr: nodeadkeys oss oss_latin9 oss_nodeadkeys latin9 latin9_nodeadkeys bepo bepo_latin9 bepo_afnor dvorak
mac azerty afnor bre oci geo us gb: extd intl dvorak dvorakukp mac mac_intl colemak colemak_dh pl gla ge: ergonomic
mess ru os gh: generic akan ewe fula ga hausa avn gillbt gn: gr: simple extended nodeadkeys polytonic hr:
alternatequotes unicode unicodeus us hu: standard nodeadkeys qwerty 101_qwertz_comma_dead 101_qwertz_comma_nodead
101_qwertz_dot_dead 101_qwertz_dot_nodead 101_qwerty_comma_dead 101_qwerty_comma_nodead 101_qwerty_dot_dead
101_qwerty_dot_nodead 102_qwertz_comma_dead 102_qwertz_comma_nodead 102_qwertz_dot_dead 102_qwertz_dot_nodead
102_qwerty_comma_dead 102_qwerty_comma_nodead 102_qwerty_dot_dead 102_qwerty_dot_nodead id: phonetic phoneticx ie:
CloGaelach UnicodeExpert ogam ogam_is434 il: lyx phonetic biblical in: ben ben_probhat ben_baishakhi ben_bornona
ben_gitanjali ben_inscript eeyek guj guru jhelum kan kan-kagapa mal mal_lalitha mal_enhanced ori ori-bolnagri ori-wx
olck tam_tamilnet tam_tamilnet_with_tam_nums tam_tamilnet_TAB tam_tamilnet_TSCII tam tel tel-kagapa tel-sarala
urd-phonetic urd-phonetic3 urd-winkeys bolnagri hin-wx hin-kagapa san-kagapa mar-kagapa eng iipa marathi iq: ku ku_f
ku_alt ku_ara ir: pes_keypad ku ku_f ku_alt ku_ara is: mac_legacy mac dvorak it: nodeadkeys winkeys mac us geo ibm
intl scn fur jp: kana kana86 OADG109A mac dvorak jv: ke: kik kg: phonetic kh: kr: kr104 kz: ruskaz kazrus ext latin
la: stea latam: nodeadkeys deadtilde dvorak colemak colemak-gaming lk: tam_unicode tam_TAB us lt: std us ibm lekp
lekpa sgs ratise lv: apostrophe tilde fkey modern ergonomic adapted ma: french tifinagh tifinagh-alt
tifinagh-alt-phonetic tifinagh-extended tifinagh-phonetic tifinagh-extended-phonetic rif mao: md: gag me: cyrillic
cyrillicyz latinunicode latinyz latinunicodeyz cyrillicalternatequotes latinalternatequotes mk: nodeadkeys ml:
fr-oss us-mac us-intl mm: zawgyi shn zgt mnw mnw-a1 mn: mt: us alt-us alt-gb mv: my: phonetic ng: igbo yoruba hausa
nl: us mac std no: nodeadkeys winkeys dvorak smi smi_nodeadkeys mac mac_nodeadkeys colemak np: ph: qwerty-bay
capewell-dvorak capewell-dvorak-bay capewell-qwerf2k6 capewell-qwerf2k6-bay colemak colemak-bay dvorak dvorak-bay
pk: urd-crulp urd-nla ara snd pl: legacy qwertz dvorak dvorak_quotes dvorak_altquotes csb szl ru_phonetic_dvorak dvp
pt: nodeadkeys mac mac_nodeadkeys nativo nativo-us nativo-epo ro: std winkeys rs: yz latin latinunicode latinyz
latinunicodeyz alternatequotes latinalternatequotes rue ru: phonetic phonetic_winkeys phonetic_YAZHERTY typewriter
legacy typewriter-legacy tt os_legacy os_winkeys cv cv_latin udm kom sah xal dos mac srp bak chm phonetic_azerty
phonetic_dvorak phonetic_fr se: nodeadkeys dvorak rus rus_nodeadkeys smi mac svdvorak us_dvorak us swl si:
alternatequotes us sk: bksl qwerty qwerty_bksl sn: sy: syc syc_phonetic ku ku_f ku_alt tg: th: tis pat tj: legacy
tm: alt tr: f alt ku ku_f ku_alt intl ot otf otk otkf tw: indigenous saisiyat tz: ua: phonetic typewriter winkeys
macOS legacy rstu rstu_ru homophonic crh crh_f crh_alt us: chr haw euro intl alt-intl colemak colemak_dh
colemak_dh_iso dvorak dvorak-intl dvorak-alt-intl dvorak-l dvorak-r dvorak-classic dvp dvorak-mac symbolic rus mac
altgr-intl olpc2 hbs norman workman workman-intl uz: latin vn: us fr za:
`
  .trim()
  .split(/\s+/)) {
  if (word.endsWith(':')) {
    last = []
    layouts.set(word.slice(0, -1), last)
  } else last.push(word)
}

/** Console keymaps, or their first words, that are called otherwise as a layout. */
const consoleNames: Record<string, string> = {
  uk: 'gb',
  sv: 'se',
  cf: 'ca',
  jp106: 'jp',
  croat: 'hr',
  slovene: 'si',
  trq: 'tr',
  la: 'latam',
  sr: 'rs',
  sg: 'ch',
  en: 'us',
  trf: 'tr',
  qwerty: 'us',
  qwertz: 'de',
  azerty: 'fr',
}

export const isLayout = (name: string): boolean => layouts.has(name)

/** @returns undefined: there is no such layout */
export const variantsOf = (layout: string): readonly string[] | undefined => layouts.get(layout)

export interface Keyboard {
  layout: string
  variant?: string
}

/**
 * The layout that is probably meant by a console keymap (`de-latin1`, `us-acentos`), by
 * `us(intl)`, or by a variant alone (`dvorak`, `bepo`).
 */
export function guessKeyboard(text: string): Keyboard | undefined {
  const name = text.toLowerCase()
  const [first = '', ...words] = name.split(/[-_+:(,) ]+/)
  const layout = consoleNames[name] ?? consoleNames[first] ?? first.replace(/\d+$/, '')
  const variants = layouts.get(layout)
  if (variants === undefined) {
    const owner = ownerOf(name)
    if (owner !== undefined) return owner
    // Among names of two letters nearly all are near to each other.
    const near = name.length < 4 ? undefined : nearest(name, [...layouts.keys()])
    return near === undefined ? undefined : { layout: near }
  }
  const rest = name.slice(first.length).replace(/^[-_+:(, ]+|\)$/g, '')
  const meant = [rest, ...words].map((word) => (word === 'acentos' ? 'intl' : word))
  return { layout, variant: meant.find((word) => variants.includes(word)) }
}

/** The layout that a variant belongs to: that of the United States, or the only one. */
function ownerOf(variant: string): Keyboard | undefined {
  const owners = [...layouts].filter(([, variants]) => variants.includes(variant)).map(([layout]) => layout)
  const layout = owners.includes('us') ? 'us' : owners.length === 1 ? owners[0] : undefined
  return layout === undefined ? undefined : { layout, variant }
}
