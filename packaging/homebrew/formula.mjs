/**
 * A Homebrew formula for a packed piimage.
 *
 *     node packaging/homebrew/formula.mjs TARBALL URL > piimage.rb
 *
 * TARBALL: what `npm pack` made; URL: where people get the same file. A release
 * puts the formula into a tap: `brew install OWNER/TAP/piimage`.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const [, , tarball, url] = process.argv
if (tarball === undefined || url === undefined) {
  process.stderr.write('usage: formula.mjs TARBALL URL\n')
  process.exit(2)
}
const { description, license } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
)
const sha256 = createHash('sha256').update(readFileSync(tarball)).digest('hex')

process.stdout.write(`class Piimage < Formula
  desc "${description.split(';')[0]}"
  homepage "${new URL(url).origin}"
  url "${url}"
  sha256 "${sha256}"
  license "${license}"

  depends_on "node"

  def install
    system "npm", "install", *std_npm_args
    bin.install_symlink libexec.glob("bin/*")
    generate_completions_from_executable(bin/"piimage", "completion", shells: [:bash, :zsh, :fish])
  end

  def caveats
    <<~EOS
      Writing a card needs sudo, and the terminal needs access to removable volumes:
      System Settings, Privacy & Security, Files and Folders.
    EOS
  end

  test do
    system bin/"piimage", "init", "home", "--template", "demo"
    cd "home" do
      system bin/"piimage", "flash", "--node", "oneil", "oneil.img"
      assert_match "equal to the plan", shell_output("#{bin}/piimage inspect oneil.img --check")
    end
  end
end
`)
