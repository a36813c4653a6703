from ferrnn._src.testing import check_vjp as check_vjp
