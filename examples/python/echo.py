"""echo.py - what examples/echo.c does, in Python: answers one call of NAME and sends back whatever comes.

  echo.py                        lists contacts
  echo.py NAME                   here, in a home that has joined and exchanged cards
  cyphernet pipe NAME-OF-THIS    at the other end"""

import sys

from cyphernet import Error, Home


def main(arguments):
    with Home() as home:
        if not arguments:
            for contact in home.contacts():
                print(contact["name"], "verified" if contact.get("verified") else contact.get("error", "unverified"))
            return
        with home.call(arguments[0]) as call:
            stream = call.stream()
            for octets in stream:
                stream.write(octets)
            stream.finish()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Error as error:
        sys.exit(f"echo: {error}")
