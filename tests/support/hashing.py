"""Password hashes as cheap as argon2 allows: in the tests hundreds of people sign in.

What a hash has to cost is tested where `Passwords()` is; servers under test use that as well.
"""

from argon2 import PasswordHasher

from hourpass.server.operators.credentials.passwords import Passwords

HASHING = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
