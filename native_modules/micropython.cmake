# All modules built into a firmware: cmake -DUSER_C_MODULES=<this repository>/native_modules/micropython.cmake
include(${CMAKE_CURRENT_LIST_DIR}/tl_infer/micropython.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/tl_train/micropython.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/tl_grad/micropython.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/tl_channels/micropython.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/tl_filter/micropython.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/tl_front/micropython.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/tl_float/micropython.cmake)
