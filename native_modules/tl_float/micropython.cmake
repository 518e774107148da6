include(${CMAKE_CURRENT_LIST_DIR}/../usermod.cmake)
tinylearn_module(tl_float ${CMAKE_CURRENT_LIST_DIR})
