"""Human speech with known text, for tests, and how a transcript of it is judged.

The recordings are Debian's (packages `asterisk-core-sounds-en-wav`, CC-BY-SA-3.0, and `pocketsphinx-testdata`, BSD) and
one of the wheel moonshine-cpp; their texts stand here because images without documentation lack them. Audio is PCM16
mono as int16 arrays (n,), at 8 kHz unless it says otherwise.
"""

# ruff: noqa: RUF001, SIM905  typographic apostrophes are meant; a row of words reads better than a list of them

from __future__ import annotations

import re
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.engine.asr import Recognizer
from service.engine.rates import from_pcm16, resample, to_pcm16

LINE_HZ = 8_000
Pcm16 = NDArray[np.int16]

_ASTERISK = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
_POCKETSPHINX = Path("/usr/share/pocketsphinx/test/data")

Source = Literal["asterisk", "librivox", "cards", "beckett"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One recording: where it comes from, its name there, the words in it."""

    source: Source
    name: str
    text: str


_ASTERISK_TEXTS = {
    "agent-alreadyon": "That agent is already logged on. Please enter your agent number followed by the pound key.",
    "agent-incorrect": "Login incorrect. Please enter your agent number followed by the pound key.",
    "agent-loginok": "Agent logged in.",
    "agent-newlocation": "Please enter a new extension, followed by pound.",
    "agent-pass": "Please enter your password followed by the pound key.",
    "agent-user": "Agent login. Please enter your agent number followed by the pound key.",
    "all-circuits-busy-now": "All circuits are busy now.",
    "astcc-followed-by-the-pound-key": "Followed by the pound key.",
    "auth-incorrect": "Password incorrect. Please enter your password followed by the pound key.",
    "call-forwarding": "Call forwarding.",
    "call-fwd-no-ans": "Call-Forward on No Answer.",
    "call-fwd-on-busy": "Call-Forward on Busy.",
    "call-fwd-unconditional": "Call-Forward Unconditional.",
    "cannot-complete-as-dialed": "Your call cannot be completed as dialed.",
    "check-number-dial-again": "Please check the number and dial again.",
    "conf-extended": "The conference has been extended.",
    "conf-full": "That conference is full.",
    "conf-getchannel": "Please enter the channel number followed by the pound key.",
    "conf-getconfno": "Please enter your conference number followed by the pound key.",
    "conf-getpin": "Please enter the conference pin number.",
    "conf-invalid": "That is not a valid conference number. Please try again.",
    "conf-invalidpin": "That pin is invalid for this conference.",
    "conf-leaderhasleft": "The leader has left the conference.",
    "conf-locked": "This conference is locked!",
    "conf-noempty": "No empty conferences currently exist.",
    "conf-nonextended": "The conference cannot be extended.",
    "conf-now-muted": "The conference is now muted.",
    "conf-now-recording": "The conference is now being recorded.",
    "conf-now-unmuted": "The conference is now unmuted.",
    "conf-onlyone": "There is currently one other participant in the conference.",
    "conf-onlyperson": "You are currently the only person in this conference.",
    "conf-placeintoconf": "You will now be placed into the conference.",
    "conf-roll-callcomplete": "Playback of the list of people attending is complete.",
    "conf-waitforleader": "The conference will begin when the leader arrives.",
    "confbridge-invalid": "You have entered an invalid option.",
    "confbridge-lock-no-join": "The conference is currently locked and cannot be joined.",
    "confbridge-locked": "The conference is now locked.",
    "confbridge-only-participant": "You are currently the only participant in the conference.",
    "confbridge-pin": "Please enter your personal identification number followed by the pound, or hash key.",
    "confbridge-pin-bad": "You have entered too many invalid personal identification numbers.",
    "confbridge-removed": "You have been removed from the conference.",
    "confbridge-unlocked": "The conference is now unlocked.",
    "confbridge-unmuted": "You are no longer muted.",
    "de-activated": "De-activated.",
    "demo-echodone": "The echo test has been completed.",
    "demo-thanks": "Goodbye. Thank you for trying out the Asterisk Open Source PBX.",
    "dir-multi9": "Press 9 for more entries.",
    "dir-nomatch": "No directory entries match your search.",
    "dir-nomore": "There are no more compatible entries in the directory.",
    "enter-num-blacklist": "Please enter the number to be blacklisted.",
    "entr-num-rmv-blklist": "Please enter the number to be removed from the blacklist.",
    "feature-not-avail-line": "That feature is not available on this line.",
    "from-unknown-caller": "From an unknown caller.",
    "info-about-last-call": "Information about your last call.",
    "invalid": "I am sorry, that's not a valid extension. Please try again.",
    "number-not-answering": "The number is not answering.",
    "one-moment-please": "One moment, please.",
    "pbx-invalidpark": "I am sorry, there is no call parked on that extension. Please try again.",
    "pbx-parkingfailed": "Parking attempt failed.",
    "please-try-call-later": "Please try your call again later.",
    "pls-hold-while-try": "Please hold while we try to connect you.",
    "pm-invalid-option": "That option is invalid. Please try again.",
    "priv-introsaved": "Thank you. Please hold, while I attempt to connect you with your party!",
    "priv-recordintro": "At the tone, please say your name.",
    "privacy-incorrect": "I'm sorry, that number is not valid.",
    "privacy-prompt": "Please enter your phone number, starting with the area code.",
    "privacy-unident": "The party you are trying to reach does not accept unidentified calls.",
    "queue-youarenext": "Your call is now first in line and will be answered by the next available representative.",
    "simul-call-limit-reached": "Simultaneous call limit reached.",
    "something-terribly-wrong": "Something is terribly wrong!",
    "sorry-youre-having-problems": "Sorry you're having problems.",
    "speed-dial-empty": "The speed dial entry you've accessed is empty.",
    "ss-noservice": "The number you have dialed is not in service. Please check the number and try again.",
    "to-call-this-number": "To call this number.",
    "transfer": "Please hold while I try that extension.",
    "unidentified-no-callback": "Unidentified or withheld and therefore cannot be called back.",
    "vm-changeto": "Change to which folder?",
    "vm-delete": "Press 7 to delete this message.",
    "vm-helpexit": "Press star for help or pound to exit.",
    "vm-incorrect-mailbox": "Login incorrect. Mailbox?",
    "vm-invalid-password": "That password does not meet the minimum requirements for this mailbox. Please try again.",
    "vm-invalidpassword": "That is not a valid password. Please try again.",
    "vm-login": "Comedian Mail. Mailbox?",
    "vm-marked-nonurgent": "Urgent status removed.",
    "vm-marked-urgent": "Message marked urgent.",
    "vm-mismatch": "The passwords you entered and re-entered did not match. Please try again.",
    "vm-msgforwarded": "Your message has been successfully forwarded.",
    "vm-msgsaved": "Your message has been saved.",
    "vm-newpassword": "Please enter your new password followed by the pound key.",
    "vm-next": "Press 6 to play the next message.",
    "vm-nomore": "No more messages.",
    "vm-passchanged": "Your passwords have been changed.",
    "vm-rec-busy": "After the tone say your busy message and then press the pound key.",
    "vm-rec-name": "After the tone say your name and then press the pound key.",
    "vm-rec-temp": "After the tone, say your temporary message, and then press the pound key.",
    "vm-rec-unv": "After the tone say your unavailable message and then press the pound key.",
    "vm-reenterpassword": "Please re-enter your password followed by the pound key.",
    "vm-repeat": "Press 5 to repeat the current message.",
    "vm-review-nonurgent": "Press 4 to remove the urgent status of this message.",
    "vm-review-urgent": "Press 4 to mark this message as urgent.",
    "vm-savefolder": "Which folder should I save the message to?",
    "vm-sorry": "I'm sorry I did not understand your response.",
    "vm-tmpexists": "There is a temporary greeting, which overrides your standard greetings.",
    "vm-undeleted": "Message undeleted.",
    "vm-whichbox": "To leave a message, please enter a mailbox number.",
}

_LIBRIVOX_TEXTS = {
    "0870": "and mister john dashwood had then leisure to consider how much there might be "
    "prudently in his power to do for them",
    "0880": "he was not an ill disposed young man",
    "0890": "unless to be rather cold hearted and rather selfish is to be ill disposed",
    "0920": "had he married a more amiable woman he might have been made still more respectable than he was",
    "0930": "he might even have been made amiable himself",
}
"""Jane Austen, Sense and Sensibility, chapter 1."""

_CARDS_TEXTS = {
    "001": "ten of clubs",
    "002": "four queen of clubs",
    "003": "seven of clubs",
    "004": "five five",
    "005": "eight of spades four of clubs seven of hearts",
}

PROMPTS: tuple[Prompt, ...] = (
    *(Prompt("asterisk", name, text) for name, text in _ASTERISK_TEXTS.items()),
    *(Prompt("librivox", name, text) for name, text in _LIBRIVOX_TEXTS.items()),
    *(Prompt("cards", name, text) for name, text in _CARDS_TEXTS.items()),
    Prompt("beckett", "beckett", "ever tried ever failed no matter try again fail again fail better"),
)

CALL_PROMPTS: tuple[Prompt, ...] = (
    *[prompt for prompt in PROMPTS if prompt.source == "asterisk"][::5],
    *(prompt for prompt in PROMPTS if prompt.source == "librivox" and prompt.name in {"0880", "0890", "0930"}),
)
"""Twenty-four of two speakers, 1.5 to 6 s long, chosen by place in the alphabet and length, not by how they fare."""

POLICY_NUMBERS = ("7789-G2RQ", "J2CS-0967", "R1B0-G390", "93RH-470W", "4N8C-4K38", "T161-J6C0")
"""The first six of sixty drawn at random; of all sixty the digits are heard exactly, of 54 the letters too."""


# -- recordings ----------------------------------------------------------------------------------------------------


def load(prompt: Prompt) -> Pcm16:
    """The recording at 8 kHz.

    Raises FileNotFoundError, naming the Debian package that is missing.
    """
    return _read(_path(prompt))


def spell(characters: str, gap_ms: int = 90, group_gap_ms: int = 250) -> Pcm16:
    """Letters and digits spoken by a human, spliced; a hyphen is a longer gap."""
    parts: list[Pcm16] = []
    for character in characters.upper():
        if character == "-":
            parts.append(np.zeros(LINE_HZ * (group_gap_ms - gap_ms) // 1000, np.int16))
            continue
        folder = "digits" if character.isdigit() else "letters"
        parts.append(_voiced(_read(_ASTERISK / folder / f"{character.lower()}.wav")))
        parts.append(np.zeros(LINE_HZ * gap_ms // 1000, np.int16))
    return np.concatenate(parts)


def _path(prompt: Prompt) -> Path:
    match prompt.source:
        case "asterisk":
            return _ASTERISK / f"{prompt.name}.wav"
        case "librivox":
            return _POCKETSPHINX / "librivox" / f"sense_and_sensibility_01_austen_64kb-{prompt.name}.wav"
        case "cards":
            return _POCKETSPHINX / "cards" / f"{prompt.name}.wav"
        case "beckett":
            spec = find_spec("moonshine_cpp")
            assert spec is not None, "The wheel moonshine-cpp is missing: pip install 'claimline[local]'"
            assert spec.origin is not None
            return Path(spec.origin).parent / "test-data" / "beckett.wav"


def _read(path: Path) -> Pcm16:
    if not path.exists():
        package = "asterisk-core-sounds-en-wav" if path.is_relative_to(_ASTERISK) else "pocketsphinx-testdata"
        raise FileNotFoundError(f"{path} is missing; install the Debian package: apt-get install {package}")
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2), f"{path} is not 16-bit mono"
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return to_pcm16(resample(from_pcm16(pcm), file.getframerate(), LINE_HZ))


def _voiced(pcm: Pcm16) -> Pcm16:
    """Without the silence around, which is 40 dB below the loudest 10 ms, but for 20 ms."""
    frame = LINE_HZ // 100
    level = np.abs(pcm[: pcm.size // frame * frame].astype(np.int32)).reshape(-1, frame).max(axis=1)
    loud = np.flatnonzero(level > level.max() // 100)
    return pcm[max(0, (int(loud[0]) - 2) * frame) : (int(loud[-1]) + 3) * frame]


# -- G.711 ---------------------------------------------------------------------------------------------------------


def ulaw_encoded(pcm: Pcm16) -> NDArray[np.uint8]:
    """G.711 mu-law (ITU-T G.711 table 2a)."""
    sign = np.where(pcm < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(pcm.astype(np.int32)), 32635) + 132
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    codes: NDArray[np.uint8] = (~(sign | segment << 4 | magnitude >> segment + 3 & 0x0F) & 0xFF).astype(np.uint8)
    return codes


def ulaw_decoded(codes: NDArray[np.uint8]) -> Pcm16:
    """The inverse, to PCM16."""
    inverted = ~codes.astype(np.int32)
    magnitude = (((inverted & 0x0F) << 3) + 132 << (inverted >> 4 & 7)) - 132
    return np.where(inverted & 0x80, -magnitude, magnitude).astype(np.int16)


def over_the_telephone(pcm: Pcm16, lead_ms: int = 500, trail_ms: int = 900) -> Pcm16:
    """What the engine gets of it: through G.711 at 8 kHz, raised to 24 kHz, with silence before and after."""
    silent = [np.zeros(LINE_HZ * ms // 1000, np.int16) for ms in (lead_ms, trail_ms)]
    heard = ulaw_decoded(ulaw_encoded(np.concatenate((silent[0], pcm, silent[1]))))
    return to_pcm16(resample(from_pcm16(heard), LINE_HZ, 24_000))


@cache
def recognizer() -> Recognizer:
    """One for all tests of a run: loading takes seconds and 450 MB."""
    loaded = Recognizer()
    loaded.load()
    return loaded


# -- judging a transcript ------------------------------------------------------------------------------------------

_WRITTEN_OUT = (
    (r"\bi'm\b", "i am"),
    (r"\b(it|that|there|what)'s\b", r"\1 is"),
    (r"\b(you|we|they)'re\b", r"\1 are"),
    (r"\b(i|you|we|they)'ve\b", r"\1 have"),
    (r"\bmr\b", "mister"),
    ("#", " pound "),
    ("&", " and "),
)
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_DIGIT_OF = {word: str(number) for number, word in enumerate(_UNITS)} | {"oh": "0", "niner": "9"}
_TEN_OF = {word: str(number) for number, word in enumerate(_TENS, start=2)}
_LETTER_OF = dict(
    pair.split("=")
    for pair in (
        "ay=A be=B bee=B see=C sea=C dee=D ee=E ef=F eff=F gee=G aitch=H eye=I jay=J kay=K el=L em=M en=N pee=P pea=P "
        "cue=Q queue=Q are=R ar=R ess=S tea=T tee=T you=U vee=V ex=X why=Y zee=Z zed=Z"
    ).split()
)


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, numbers and contractions written out, for counting errors."""
    text = text.lower().replace("’", "'")
    for short, whole in _WRITTEN_OUT:
        text = re.sub(short, whole, text)
    text = text.replace("'", "")
    text = re.sub(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)", " ", text)
    return [word for token in re.findall(r"[a-z]+|\d+", text) for word in _number_words(token)]


def word_errors(reference: str, transcript: str) -> tuple[int, int]:
    """(substitutions + insertions + deletions, words of the reference); one word written as two is no error."""
    wanted, heard = words(reference), words(transcript)
    cost = np.zeros((len(wanted) + 1, len(heard) + 1), np.int64)
    cost[:, 0] = np.arange(len(wanted) + 1)
    cost[0, :] = np.arange(len(heard) + 1)
    for i, word in enumerate(wanted, start=1):
        for j, other in enumerate(heard, start=1):
            choices = [cost[i - 1, j] + 1, cost[i, j - 1] + 1, cost[i - 1, j - 1] + (word != other)]
            if j > 1 and heard[j - 2] + other == word:
                choices.append(cost[i - 1, j - 2])
            if i > 1 and wanted[i - 2] + word == other:
                choices.append(cost[i - 2, j - 1])
            cost[i, j] = min(choices)
    return int(cost[-1, -1]), len(wanted)


def word_error_rate(pairs: list[tuple[str, str]]) -> float:
    """Errors per reference word over (reference, transcript) pairs."""
    counted = [word_errors(reference, transcript) for reference, transcript in pairs]
    return sum(errors for errors, _ in counted) / max(1, sum(length for _, length in counted))


def characters(text: str) -> str:
    """Letters and digits that a transcript spells: "K seven M two, 40 B9" -> "K7M240B9". Other words are left out."""
    tokens = re.findall(r"[a-z]+|\d", re.sub(r"[.'’]", "", text.lower()))
    return "".join(_spelled(tokens))


def digits(text: str) -> str:
    """The digits of `characters`."""
    return "".join(character for character in characters(text) if character.isdigit())


def _spelled(tokens: list[str]) -> Iterator[str]:
    for token, after in pairwise([*tokens, ""]):
        if len(token) == 1:
            yield token.upper()
        elif token in _DIGIT_OF:
            yield _DIGIT_OF[token]
        elif token in _TEN_OF:
            one = len(_DIGIT_OF.get(after, "")) == 1 and after not in ("zero", "oh")
            yield _TEN_OF[token] + ("" if one else "0")
        elif token in _LETTER_OF:
            yield _LETTER_OF[token]
        elif not re.search("[aeiouy]", token):
            yield token.upper()


def _number_words(token: str) -> list[str]:
    if not token.isdigit():
        return [token]
    number = int(token)
    if len(token) > 1 and (token[0] == "0" or len(token) > 2):
        return [_UNITS[int(digit)] for digit in token]
    if number < len(_UNITS):
        return [_UNITS[number]]
    ten, one = divmod(number, 10)
    return [_TENS[ten - 2], *([_UNITS[one]] if one else [])]
