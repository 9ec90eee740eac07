"""Codes of countries (ISO 3166-1) and currencies (ISO 4217) in use, and sums of check digits over many texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COUNTRIES = _codes(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY "
    "BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK "
    "FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK "
    "ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF "
    "TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
COUNTRIES_3 = _codes(
    "AND ARE AFG ATG AIA ALB ARM AGO ATA ARG ASM AUT AUS ABW ALA AZE BIH BRB BGD BEL BFA BGR BHR BDI BEN BLM BMU "
    "BRN BOL BES BRA BHS BTN BVT BWA BLR BLZ CAN CCK COD CAF COG CHE CIV COK CHL CMR CHN COL CRI CUB CPV CUW CXR "
    "CYP CZE DEU DJI DNK DMA DOM DZA ECU EST EGY ESH ERI ESP ETH FIN FJI FLK FSM FRO FRA GAB GBR GRD GEO GUF GGY "
    "GHA GIB GRL GMB GIN GLP GNQ GRC SGS GTM GUM GNB GUY HKG HMD HND HRV HTI HUN IDN IRL ISR IMN IND IOT IRQ IRN "
    "ISL ITA JEY JAM JOR JPN KEN KGZ KHM KIR COM KNA PRK KOR KWT CYM KAZ LAO LBN LCA LIE LKA LBR LSO LTU LUX LVA "
    "LBY MAR MCO MDA MNE MAF MDG MHL MKD MLI MMR MNG MAC MNP MTQ MRT MSR MLT MUS MDV MWI MEX MYS MOZ NAM NCL NER "
    "NFK NGA NIC NLD NOR NPL NRU NIU NZL OMN PAN PER PYF PNG PHL PAK POL SPM PCN PRI PSE PRT PLW PRY QAT REU ROU "
    "SRB RUS RWA SAU SLB SYC SDN SWE SGP SHN SVN SJM SVK SLE SMR SEN SOM SUR SSD STP SLV SXM SYR SWZ TCA TCD ATF "
    "TGO THA TJK TKL TLS TKM TUN TON TUR TTO TUV TWN TZA UKR UGA UMI USA URY UZB VAT VCT VEN VGB VIR VNM VUT WLF "
    "WSM YEM MYT ZAF ZMB ZWE"
)
CURRENCIES = _codes(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
    "GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP "
    "LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB "
    "PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XCD XCG XDR "
    "XOF XPD XPF XPT XSU XUA YER ZAR ZMW ZWG"
)

_Ints = npt.NDArray[np.int64]


def mod97(texts: pl.Series) -> pl.Series:
    """Remainder modulo 97 of each text of digits and capitals, which stand for 10 to 35; -1 for an empty text."""
    return _folded(texts, 34, lambda total, value, place: (total * np.where(value > 9, 100, 10) + value) % 97)


def luhn(texts: pl.Series) -> pl.Series:
    """Check sum modulo 10 of each text of digits: every second from the right counts twice; -1 for an empty text."""

    def step(total: _Ints, value: _Ints, place: int) -> _Ints:
        counted = value * 2 - np.where(value > 4, 9, 0) if place % 2 else value
        return (total + counted) % 10

    return _folded(texts.str.reverse(), 19, step)


def is_json(texts: pl.Series) -> pl.Series:
    """Whether each text is JSON; null for null. Equal texts are looked at once."""
    different = texts.drop_nulls().unique()
    if different.is_empty():
        return pl.Series([None] * len(texts), dtype=pl.Boolean)
    known = pl.Series([_reads(text) for text in different], dtype=pl.Boolean)
    return texts.replace_strict(different, known, default=None, return_dtype=pl.Boolean)


def _reads(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _folded(texts: pl.Series, width: int, step: Callable[[_Ints, _Ints, int], _Ints]) -> pl.Series:
    """`step` over the characters of ASCII texts of at most `width`, all texts at once, from the left."""
    padded = texts.cast(pl.String).fill_null("").str.pad_end(width, " ")
    signs = np.frombuffer("".join(padded.to_list()).encode("ascii"), np.uint8).reshape(len(texts), width)
    numbers = signs.astype(np.int64)
    total = np.zeros(len(texts), np.int64)
    for place in range(width):
        sign = numbers[:, place]
        value = np.where(sign >= ord("A"), sign - ord("A") + 10, sign - ord("0"))
        total = np.where(sign == ord(" "), total, step(total, value, place))
    return pl.Series(np.where(numbers[:, 0] == ord(" "), -1, total))
